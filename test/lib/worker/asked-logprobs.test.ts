import type { ChatCompletion } from 'openai/resources/chat'
import { expect, test } from 'vitest'
import type { ChatRequest } from '#lib/events/chat-request'
import type { StepKind } from '#lib/events/types.generated'
import type { Policy } from '#lib/policy/schema'
import { askForLogprobs, deliverable } from '#lib/worker/asked-logprobs'
import type { ModelJob } from '#lib/worker/call-end'

const request: ChatRequest = { messages: [{ role: 'user', content: 'x' }] }
const sent = (verification: Partial<Policy['verification']>, kind: StepKind = 'routing') =>
  askForLogprobs({
    request,
    policy: { verification: { whenUnverifiable: 'accept', ...verification } },
    routed: { step: { kind } },
  } as unknown as ModelJob)

test('log-probabilities are asked for where the policy asks for confidence, of that kind alone', () => {
  expect(sent({})).toBe(request)
  expect(sent({ minConfidencePpm: 1 })).toEqual({ ...request, logprobs: true })
  const perKind = { extraction: { minConfidencePpm: 1 } }
  expect(sent({ perKind })).toBe(request)
  expect(sent({ perKind }, 'extraction')).toEqual({ ...request, logprobs: true })
})

test('the caller gets them only where it asked for them', () => {
  const told = { choices: [{ message: { content: 'x' }, logprobs: { content: [] } }] } as unknown as ChatCompletion
  const without = { choices: [{ message: { content: 'x' }, logprobs: null }] }
  expect(deliverable(request, told)).toEqual(without)
  expect(deliverable({ ...request, logprobs: false }, told)).toEqual(without)
  expect(deliverable({ ...request, logprobs: true, top_logprobs: 3 }, told)).toBe(told)
  for (const other of [{ choices: [null] }, {}, null, without])
    expect(deliverable(request, other as unknown as ChatCompletion)).toBe(other)
})
