import type Anthropic from '@anthropic-ai/sdk'
import { expect, test } from 'vitest'
import { fromAnthropicMessage } from '#lib/models/anthropic-answer'
import { structureVerdict } from '../../support/structure-verdict.ts'

const answer = (fields: object) =>
  fromAnthropicMessage(
    {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: 'claude',
      stop_reason: 'end_turn',
      usage: { input_tokens: 10, cache_read_input_tokens: 5, cache_creation_input_tokens: null, output_tokens: 3 },
      ...fields,
    } as unknown as Anthropic.Message,
    1_000_000,
    { maxOutputTokens: 64, promptTokensBound: 100 },
  )

test('texts are joined, thinking is left out, tokens read from the cache count', () => {
  const content = [
    { type: 'thinking', thinking: 'hm' },
    { type: 'text', text: 'Hel' },
    { type: 'text', text: 'lo' },
  ]
  const { completion, promptTokens, completionTokens, standIn } = answer({ content })
  expect(completion.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: 'Hello', refusal: null } })
  expect({ promptTokens, completionTokens, standIn }).toEqual({ promptTokens: 15, completionTokens: 3, standIn: false })
  expect(completion.usage?.total_tokens).toBe(18)
})

const toolUse = (id: string) => ({ type: 'tool_use', id, name: 'weather', input: { city: id } })

test('parallel tool uses become tool calls that pass verification', () => {
  const { completion } = answer({ content: [toolUse('a'), toolUse('b')], stop_reason: 'tool_use' })
  expect(completion.choices[0]?.finish_reason).toBe('tool_calls')
  expect(completion.choices[0]?.message.tool_calls?.map((call) => call.id)).toEqual(['a', 'b'])
  const tools = [{ type: 'function' as const, function: { name: 'weather' } }]
  expect(structureVerdict({ tools, tool_choice: 'required' }, completion).verdict).toBe('ok')
})

test.each([
  ['max_tokens', 'truncated'],
  ['model_context_window_exceeded', 'truncated'],
  ['refusal', 'refused'],
  ['stop_sequence', 'ok'],
])('stop reason %s is verdict %s', (stop_reason, verdict) => {
  const { completion } = answer({ content: [{ type: 'text', text: 'No.' }], stop_reason })
  expect(structureVerdict({}, completion).verdict).toBe(verdict)
})

test.each([null, {}, { content: [] }, { content: [], usage: {} }])('%j is malformed', (message) => {
  expect(() => fromAnthropicMessage(message as unknown as Anthropic.Message, 0, { maxOutputTokens: 64 })).toThrow(
    expect.objectContaining({ reason: 'malformed' }),
  )
})

test('a part of the usage that is negative makes the whole be charged at its bound', () => {
  const usage = { input_tokens: 50, cache_read_input_tokens: -10, output_tokens: 3 }
  expect(answer({ content: [{ type: 'text', text: 'x' }], usage })).toMatchObject({
    promptTokens: 100,
    completionTokens: 64,
    usageProblem: 'not_a_count',
  })
})
