import * as fc from 'fast-check'
import type { ChatCompletion } from 'openai/resources/chat'
import { expect, test } from 'vitest'
import { confidencePpm, leastConfidencePpm } from '#lib/verification/confidence'

type Token = [text: string, probability: number, bytes?: number[]]

function completion(message: object, tokens: readonly Token[]): ChatCompletion {
  const content = tokens.map(([token, probability, bytes]) => ({ token, logprob: Math.log(probability), bytes }))
  return { choices: [{ message, logprobs: { content } }] } as unknown as ChatCompletion
}

const call = (args: string) => ({ type: 'function', function: { name: 'pay', arguments: args } })

test('of a text it is the geometric mean of the probabilities', () => {
  expect(
    confidencePpm(
      completion({ content: 'no idea' }, [
        ['no', 0.5],
        [' idea', 0.125],
      ]),
    ),
  ).toBe(250_000)
})

test('reasoning before the message does not count', () => {
  const tokens: Token[] = [
    ['<think>theft?', 0.1],
    ['</think>', 0.1],
    ['theft', 0.9],
  ]
  expect(confidencePpm(completion({ content: 'theft' }, tokens))).toBe(900_000)
})

test('of JSON only the values count', () => {
  const tokens: Token[] = [
    ['{"', 1],
    ['label', 0.01],
    ['":"', 1],
    ['fi', 0.5],
    ['re', 0.5],
    ['"}', 1],
  ]
  expect(confidencePpm(completion({ content: '{"label":"fire"}' }, tokens))).toBe(500_000)
})

test('of several calls the least sure one counts', () => {
  const calls = { content: null, tool_calls: [call('{"to":"Ann"}'), call('{"to":7}')] }
  const tokens: Token[] = [
    ['pay{"to":"', 1],
    ['Ann', 0.9],
    ['"}', 1],
    ['pay{"to":', 1],
    ['7', 0.2],
    ['}', 1],
  ]
  expect(confidencePpm(completion(calls, tokens))).toBe(200_000)
})

test('arguments that a server wrote anew are judged by all tokens', () => {
  const calls = { content: null, tool_calls: [call('{"to": "Ann"}')] }
  expect(
    confidencePpm(
      completion(calls, [
        ['{"to":"', 0.5],
        ['Ann"}', 0.5],
      ]),
    ),
  ).toBe(500_000)
})

test('tokens that end within a character are found by their bytes', () => {
  const [first, ...rest] = Buffer.from('é')
  const tokens: Token[] = [
    ['thought ', 0.01],
    ['\ufffd', 0.5, [first!]],
    ['\ufffd', 0.5, rest],
  ]
  expect(confidencePpm(completion({ content: 'é' }, tokens))).toBe(500_000)
})

test('a token of no probability counts as one in a million', () => {
  const content = [{ token: 'x', logprob: -9_999 }]
  const answer = { choices: [{ message: { content: 'x' }, logprobs: { content } }] }
  expect(confidencePpm(answer as unknown as ChatCompletion)).toBe(1)
})

test('without log-probabilities there is no confidence', () => {
  for (const logprobs of [null, undefined, {}, { content: null }, { content: [] }])
    expect(
      confidencePpm({ choices: [{ message: { content: 'x' }, logprobs }] } as unknown as ChatCompletion),
    ).toBeNull()
})

test('whatever a backend tells, it is a share or nothing', () => {
  const token = fc.record({ token: fc.anything(), logprob: fc.anything(), bytes: fc.anything() }, { requiredKeys: [] })
  const message = fc.record(
    { content: fc.oneof(fc.json(), fc.jsonValue()), tool_calls: fc.jsonValue() },
    { requiredKeys: [] },
  )
  const logprobs = fc.oneof(fc.jsonValue(), fc.record({ content: fc.array(fc.oneof(token, fc.jsonValue())) }))
  fc.assert(
    fc.property(message, logprobs, (message, logprobs) => {
      const ppm = confidencePpm({ choices: [{ message, logprobs }] } as unknown as ChatCompletion)
      expect(ppm === null || (Number.isInteger(ppm) && ppm >= 0 && ppm <= 1_000_000)).toBe(true)
    }),
  )
})

test("a kind's least confidence goes before the policy's own, and none is asked by default", () => {
  const verification = { whenUnverifiable: 'accept' as const }
  expect(leastConfidencePpm(verification, 'routing')).toBe(0)
  const both = { ...verification, minConfidencePpm: 5, perKind: { routing: { minConfidencePpm: 0 } } }
  expect(leastConfidencePpm(both, 'routing')).toBe(0)
  expect(leastConfidencePpm(both, 'extraction')).toBe(5)
})
