import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ChatRequest } from '#lib/events/chat-request'
import type { Attempt } from '#lib/events/types.generated'
import { isTransientVerdict, verdictCodes, verdicts } from '#lib/models/verdicts'
import { emptyCounts } from '#lib/routing/text-scan'
import { estimatePromptTokens } from '#lib/routing/token-estimate'
import { countHintTokens, hintOf, withHint } from '#lib/worker/hint'

const on = { reroute: { hint: true } }
const completionOf = (message: object) => JSON.stringify({ choices: [{ index: 0, message }] })
const weak = (more: Partial<Attempt> = {}) =>
  ({
    tier: 'oss',
    verdict: 'schema_mismatch',
    detail: 'a detail',
    answer: completionOf({ role: 'assistant', content: '{"sum":"many"}' }),
    answerTruncated: false,
    ...more,
  }) as Attempt
const told = (attempt: Attempt) => hintOf([attempt], on)[0]?.content

test('a hint is the weak answer and the meaning of its verdict, without its detail', () => {
  expect(hintOf([weak()], on)).toEqual([
    { role: 'assistant', content: '{"sum":"many"}' },
    {
      role: 'user',
      content: `The answer above was not accepted: ${verdicts.schema_mismatch.meaning} Answer the original request anew.`,
    },
  ])
})

test('tool calls are told as text, whatever a backend made of them', () => {
  const call = (name: unknown, args: unknown) => ({ id: 'c', type: 'function', function: { name, arguments: args } })
  const calls = [call('pay', '{"eur":'), call('pay', { eur: 3 }), call(undefined, 4), null]
  const answer = completionOf({ content: 'I pay.', tool_calls: calls })
  expect(told(weak({ verdict: 'arguments_malformed', answer }))).toBe(
    'I pay.\nCall of pay with {"eur":\nCall of pay with {"eur":3}\nCall of nothing with 4\nCall of nothing with nothing',
  )
})

test('the last answer of an open model counts, not one of the frontier', () => {
  const answered = (content: string) => ({ answer: completionOf({ content }) })
  const attempts = [weak(answered('first')), weak(answered('last')), weak({ tier: 'frontier', ...answered('paid') })]
  expect(hintOf(attempts, on)[0]?.content).toBe('last')
})

describe('there is no hint', () => {
  test.each([undefined, {}, { hint: false }])('where the policy does not ask for it: %o', (reroute) => {
    expect(hintOf([weak()], { reroute })).toEqual([])
  })

  const untold = verdictCodes.filter((code) => isTransientVerdict(code) || /ok|refused|filtered|empty/.test(code))
  test.each([...untold, 'of_a_newer_release'])('of an attempt that ended in %s', (verdict) => {
    expect(hintOf([weak({ verdict })], on)).toEqual([])
  })

  test.each([
    ['there is none', null],
    ['is no JSON', '{"choices":[{"message":{"content":"cut'],
    ['is null', 'null'],
    ['has no choice', '{"choices":[]}'],
    ['has a null for a choice', '{"choices":[null]}'],
    ['says nothing', completionOf({ content: '  ', tool_calls: [] })],
    ['is too long', completionOf({ content: 'x'.repeat(8_193) })],
  ])('of an answer that %s', (_what, answer) => {
    expect(hintOf([weak({ answer })], on)).toEqual([])
  })

  test('of an answer that was cut on its way', () => {
    expect(hintOf([weak({ answerTruncated: true })], on)).toEqual([])
  })
})

test('I3: the request with its hint never counts more than both by themselves', () => {
  const countOf = (request: ChatRequest) => estimatePromptTokens(request, 0, emptyCounts(), emptyCounts())
  fc.assert(
    fc.property(fc.string(), fc.string({ maxLength: 2_000 }), (asked, content) => {
      const request: ChatRequest = { messages: [{ role: 'user', content: asked }] }
      const hint = hintOf([weak({ answer: completionOf({ content }) })], on)
      expect(countOf(withHint(request, hint))).toBeLessThanOrEqual(countOf(request) + countHintTokens(hint))
    }),
  )
})
