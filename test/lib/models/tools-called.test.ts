import { expect, test } from 'vitest'
import type { ChatCompletion } from 'openai/resources/chat'
import type { ChatRequest } from '#lib/events/chat-request'
import { offeredToolsCalled } from '#lib/models/tools-called'

const request = {
  tools: ['search', 'book'].map((name) => ({ type: 'function', function: { name } })),
} as unknown as ChatRequest
const answer = (tool_calls: unknown) => ({ choices: [{ message: { tool_calls } }] }) as unknown as ChatCompletion
const call = (name: unknown) => ({ type: 'function', function: { name, arguments: '{}' } })

test('tools that an answer calls are named once each, and what it invents is not', () => {
  expect(offeredToolsCalled(request, answer([call('search'), call('search'), call('fly')]))).toEqual(['search'])
  expect(offeredToolsCalled({}, answer([call('search')]))).toEqual([])
})

test.each([[undefined], [null], ['x'], [[null, 7, {}, { function: { name: 7 } }]]])(
  'calls of the form %j name none',
  (calls) => expect(offeredToolsCalled(request, answer(calls))).toEqual([]),
)

test('an answer that is none calls none', () => {
  expect(offeredToolsCalled(request, {} as ChatCompletion)).toEqual([])
})
