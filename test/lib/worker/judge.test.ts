import type { ChatCompletion } from 'openai/resources/chat'
import { expect, test } from 'vitest'
import type { Policy } from '#lib/policy/schema'
import type { Expectations, Verifier } from '#lib/verification/verifier'
import type { CallEnd, ModelJob } from '#lib/worker/call-end'
import { isAccepted, judge } from '#lib/worker/judge'

const verification: Policy['verification'] = { minConfidencePpm: 700_000, whenUnverifiable: 'accept' }
const made = { callNo: 1, backend: 'b', region: 'eu', startedAtMs: 0, endedAtMs: 0, earlier: [] }

async function expected(tier: 'oss' | 'frontier', standIn = false): Promise<Expectations | undefined> {
  let asked: Expectations | undefined
  const verifier: Verifier = {
    verify: (_request, _completion, expectations) => {
      asked = expectations
      return Promise.resolve({ verdict: 'ok', detail: null, confidencePpm: null })
    },
  }
  const step = { kind: 'classification', metadata: { 'shunt.labels': 'a, b' } }
  const job = { routed: { step, decision: { tier } }, request: {}, policy: { verification } } as unknown as ModelJob
  const completion = {} as ChatCompletion
  const answer = { completion, promptTokens: 0, completionTokens: 0, standIn }
  await judge(verifier, job, { ...made, kind: 'answered', answer })
  return asked
}

test('an open model must be sure and willing; of the frontier only the labels are asked', async () => {
  const both = { labels: ['a', 'b'], structureOnly: false }
  expect(await expected('oss')).toEqual({ ...both, refusalIsFailure: true, minConfidencePpm: 700_000 })
  expect(await expected('frontier')).toEqual({ ...both, refusalIsFailure: false, minConfidencePpm: 0 })
  expect(await expected('frontier', true)).toMatchObject({ structureOnly: true })
})

test('a call without an answer keeps its verdict', async () => {
  const verifier: Verifier = { verify: () => Promise.reject(new Error('not asked')) }
  const end: CallEnd = { ...made, kind: 'failed', verdict: 'breaker_open', detail: 'd', outcomeUnknown: false }
  expect(await judge(verifier, {} as ModelJob, end)).toEqual({
    verdict: 'breaker_open',
    detail: 'd',
    confidencePpm: null,
  })
})

test('an answer that cannot be checked is the result unless the policy says otherwise', () => {
  for (const verdict of ['schema_unusable', 'verification_timeout'] as const) {
    expect(isAccepted(verdict, { verification })).toBe(true)
    expect(isAccepted(verdict, { verification: { whenUnverifiable: 'reroute' } })).toBe(false)
  }
  expect(isAccepted('ok', { verification })).toBe(true)
  expect(isAccepted('arguments_invalid', { verification })).toBe(false)
})
