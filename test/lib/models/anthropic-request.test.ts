import { expect, test } from 'vitest'
import type { ChatRequest } from '#lib/events/chat-request'
import { toAnthropicRequest } from '#lib/models/anthropic-request'
import { ModelCallError } from '#lib/models/model-call-error'
import { readAnthropicRequest } from '../../simulators/anthropic-request.ts'

const call = { model: 'claude', maxOutputTokens: 50 }
const translate = (request: ChatRequest) => toAnthropicRequest(request, call)
const weather = {
  type: 'function',
  function: { name: 'weather', description: 'Weather of a city', parameters: { properties: { city: {} } } },
} as const
const weatherCall = (id: string, args: string) =>
  ({ id, type: 'function', function: { name: 'weather', arguments: args } }) as const

test('instructions of any place become the system prompt, and the output limit is the one decided', () => {
  const body = translate({
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hello' },
      { role: 'developer', content: [{ type: 'text', text: 'In English.' }] },
    ],
    max_tokens: 9_999,
    stop: 'END',
    temperature: 0.2,
  })
  expect(body).toEqual({
    model: 'claude',
    max_tokens: 50,
    system: [
      { type: 'text', text: 'Be brief.' },
      { type: 'text', text: 'In English.' },
    ],
    messages: [{ role: 'user', content: [{ type: 'text', text: 'Hello' }] }],
    stop_sequences: ['END'],
    stream: false,
  })
})

test('results of parallel calls become one user message, before what the user says next', () => {
  const body = translate({
    messages: [
      { role: 'user', content: 'Oslo and Rome?' },
      { role: 'assistant', content: '', tool_calls: [weatherCall('a', '{"city":"Oslo"}'), weatherCall('b', '{"c')] },
      { role: 'tool', tool_call_id: 'a', content: 'rain' },
      { role: 'tool', tool_call_id: 'b', content: '' },
      { role: 'user', content: 'And?' },
    ],
    tools: [weather],
  })
  expect(body.messages.slice(1)).toEqual([
    {
      role: 'assistant',
      content: [
        { type: 'tool_use', id: 'a', name: 'weather', input: { city: 'Oslo' } },
        { type: 'tool_use', id: 'b', name: 'weather', input: { unparsed_arguments: '{"c' } },
      ],
    },
    {
      role: 'user',
      content: [
        { type: 'tool_result', tool_use_id: 'a', content: [{ type: 'text', text: 'rain' }] },
        { type: 'tool_result', tool_use_id: 'b' },
        { type: 'text', text: 'And?' },
      ],
    },
  ])
  expect(readAnthropicRequest(body)).not.toHaveProperty('problem')
})

test.each([
  ['auto', undefined, undefined],
  ['auto', false, { type: 'auto', disable_parallel_tool_use: true }],
  ['none', undefined, { type: 'none' }],
  ['required', undefined, { type: 'any' }],
  ['required', false, { type: 'any', disable_parallel_tool_use: true }],
  [{ type: 'function', function: { name: 'weather' } }, undefined, { type: 'tool', name: 'weather' }],
] as const)('tool_choice %j with parallel_tool_calls %j becomes %j', (choice, parallel, expected) => {
  const body = translate({
    messages: [{ role: 'user', content: 'Oslo?' }],
    tools: [weather],
    tool_choice: choice,
    ...(parallel !== undefined && { parallel_tool_calls: parallel }),
  })
  expect(body.tool_choice).toEqual(expected)
  expect(body.tools).toEqual([
    {
      name: 'weather',
      description: 'Weather of a city',
      input_schema: { type: 'object', properties: { city: {} } },
    },
  ])
  expect(readAnthropicRequest(body)).not.toHaveProperty('problem')
})

test('an image comes out as base64 with its media type', () => {
  const url = 'data:image/png;base64,aGVsbG8='
  const body = translate({
    messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }],
  })
  expect(body.messages[0]?.content).toEqual([
    { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'aGVsbG8=' } },
  ])
})

test("response_format's schema is asked for", () => {
  const schema = { type: 'object', properties: {} }
  const body = translate({
    messages: [{ role: 'user', content: 'x' }],
    response_format: { type: 'json_schema', json_schema: { name: 'x', schema } },
  })
  expect(body.output_config).toEqual({ format: { type: 'json_schema', schema } })
})

test.each([
  { response_format: { type: 'json_object' } },
  { response_format: { type: 'json_schema', json_schema: { name: 'x' } } },
  { logprobs: true },
] as const)('%j cannot be asked for and says so', (fields) => {
  const attempt = () => translate({ messages: [{ role: 'user', content: 'x' }], ...fields })
  expect(attempt).toThrow(expect.objectContaining({ reason: 'unsupported', transient: false }))
  expect(attempt).toThrow(ModelCallError)
})
