import * as fc from 'fast-check'
import type { ChatCompletion, ChatCompletionMessage } from 'openai/resources/chat'
import { describe, expect, test } from 'vitest'
import { verdictCodes } from '#lib/models/verdicts'
import type { AnswerableRequest } from '#lib/verification/verification'
import { structureVerdict } from '../../support/structure-verdict.ts'

type FinishReason = ChatCompletion.Choice['finish_reason']

function answer(message: Partial<ChatCompletionMessage>, finishReason: FinishReason = 'stop'): ChatCompletion {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1_700_000_000,
    model: 'm',
    choices: [
      {
        index: 0,
        finish_reason: finishReason,
        logprobs: null,
        message: { role: 'assistant', content: null, refusal: null, ...message },
      },
    ],
    usage: { prompt_tokens: 3, completion_tokens: 16, total_tokens: 19 },
  }
}

const call = (name: string, args: string) => ({
  id: 'call_1',
  type: 'function' as const,
  function: { name, arguments: args },
})
const calls = (...toolCalls: ReturnType<typeof call>[]) => answer({ tool_calls: toolCalls }, 'tool_calls')
const tool = (name: string) => ({ type: 'function' as const, function: { name } })
const withTools: AnswerableRequest = { tools: [tool('get_claim'), tool('pay_claim')] }

const allowed = (mode: 'auto' | 'required'): AnswerableRequest => ({
  ...withTools,
  tool_choice: {
    type: 'allowed_tools',
    allowed_tools: { mode, tools: [{ type: 'function', function: { name: 'get_claim' } }] },
  },
})

describe('text', () => {
  test('plain text is ok', () => {
    expect(structureVerdict({}, answer({ content: 'theft' }))).toEqual({ verdict: 'ok', detail: null })
  })

  test.each([
    ['empty', answer({ content: '' })],
    ['empty', answer({ content: ' \n' })],
    ['empty', answer({ content: null })],
    ['truncated', answer({ content: 'the claim is' }, 'length')],
    ['content_filtered', answer({ content: '' }, 'content_filter')],
    ['refused', answer({ refusal: 'I cannot help with that' })],
  ])('%s', (verdict, completion) => {
    expect(structureVerdict({}, completion).verdict).toBe(verdict)
  })

  test('a detail says how many tokens were written, and holds no answer text', () => {
    const { detail } = structureVerdict({}, answer({ content: 'secret' }, 'length'))
    expect(detail).toContain('16')
    expect(detail).not.toContain('secret')
  })
})

describe('tool calls', () => {
  test('a call of an offered tool with an object is ok', () => {
    expect(structureVerdict(withTools, calls(call('get_claim', '{"id":"C-1"}'))).verdict).toBe('ok')
  })

  test('text is ok while tool_choice is auto', () => {
    expect(structureVerdict({ ...withTools, tool_choice: 'auto' }, answer({ content: 'done' })).verdict).toBe('ok')
  })

  test('a tool that is not offered is unknown, and its name stays out of the detail', () => {
    const verification = structureVerdict(withTools, calls(call('drop_table', '{}')))
    expect(verification.verdict).toBe('unknown_tool')
    expect(verification.detail).not.toContain('drop_table')
  })

  test('the second of two calls is checked as well', () => {
    const { verdict, detail } = structureVerdict(
      withTools,
      calls(call('get_claim', '{}'), call('pay_claim', '{"amount":')),
    )
    expect(verdict).toBe('arguments_malformed')
    expect(detail).toContain('2 of 2')
  })

  test.each(['', '[]', 'null', '"C-1"', '{id: 1}'])('arguments %j are malformed', (args) => {
    expect(structureVerdict(withTools, calls(call('get_claim', args))).verdict).toBe('arguments_malformed')
  })

  test('required and a named tool expect a call', () => {
    const text = answer({ content: 'done' })
    const named = { type: 'function' as const, function: { name: 'pay_claim' } }
    expect(structureVerdict({ ...withTools, tool_choice: 'required' }, text).verdict).toBe('tool_expected')
    expect(structureVerdict({ ...withTools, tool_choice: named }, text).verdict).toBe('tool_expected')
    expect(structureVerdict({ ...withTools, tool_choice: named }, calls(call('get_claim', '{}'))).verdict).toBe(
      'tool_expected',
    )
    expect(structureVerdict({ ...withTools, tool_choice: named }, calls(call('pay_claim', '{}'))).verdict).toBe('ok')
  })

  test('allowed_tools narrows the tools, and demands one only in mode required', () => {
    expect(structureVerdict(allowed('auto'), answer({ content: 'done' })).verdict).toBe('ok')
    expect(structureVerdict(allowed('required'), answer({ content: 'done' })).verdict).toBe('tool_expected')
    expect(structureVerdict(allowed('auto'), calls(call('pay_claim', '{}'))).verdict).toBe('tool_expected')
    expect(structureVerdict(allowed('auto'), calls(call('get_claim', '{}'))).verdict).toBe('ok')
  })

  test('none takes no call', () => {
    const completion = calls(call('get_claim', '{}'))
    expect(structureVerdict({ ...withTools, tool_choice: 'none' }, completion).verdict).toBe('tool_unexpected')
  })

  test('a cut call is truncated, whatever its arguments look like', () => {
    const completion = answer({ tool_calls: [call('get_claim', '{"id":')] }, 'length')
    expect(structureVerdict(withTools, completion).verdict).toBe('truncated')
  })
})

describe('response_format', () => {
  const asksForJson: AnswerableRequest = { response_format: { type: 'json_object' } }

  test.each([
    ['{"label":"theft"}', 'ok'],
    ['[1]', 'format_mismatch'],
    ['theft', 'format_mismatch'],
    ['```json\n{}\n```', 'format_mismatch'],
  ])('%j is %s', (content, verdict) => {
    expect(structureVerdict(asksForJson, answer({ content })).verdict).toBe(verdict)
  })

  test('with a schema any JSON value may fit', () => {
    const response_format = { type: 'json_schema', json_schema: { name: 'n', schema: { type: 'array' } } } as const
    expect(structureVerdict({ response_format }, answer({ content: '[1]' })).verdict).toBe('ok')
    expect(structureVerdict({ response_format }, answer({ content: 'theft' })).verdict).toBe('format_mismatch')
  })

  test('text takes anything', () => {
    expect(structureVerdict({ response_format: { type: 'text' } }, answer({ content: 'theft' })).verdict).toBe('ok')
  })
})

describe('what is no chat completion', () => {
  test.each([{}, { choices: [] }, { choices: [{}] }, { choices: {} }, null, 'oops'])('%j is malformed', (value) => {
    expect(structureVerdict({}, value as unknown as ChatCompletion).verdict).toBe('response_malformed')
  })

  test('any JSON value gets a verdict', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (message, content) => {
        const choice = { finish_reason: 'stop', message: { content, tool_calls: message } }
        for (const value of [{ choices: [{ finish_reason: 'stop', message }] }, { choices: [choice] }])
          expect(verdictCodes).toContain(structureVerdict(withTools, value as unknown as ChatCompletion).verdict)
      }),
    )
  })
})
