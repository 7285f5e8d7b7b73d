import { expect, test } from 'vitest'
import { readAttempt } from '#lib/ledger/stored-answers'
import { jobIdOf } from '../../../services/frontier/lane-job.ts'
import { toCallEnd } from '../../../services/frontier/stored-end.ts'

const place = { id: 'p', tier: 'frontier' as const, region: 'eu', complianceTags: [] }
const end = (more: object = {}) =>
  JSON.stringify({ endedAtMs: 20, promptTokens: 3, completionTokens: 2, standIn: false, ...more })
const told = (fields: Record<string, string>, answer: unknown = null) =>
  toCallEnd(readAttempt({ state: 'ended', ...fields }), answer, place, 99)

test('an answer comes out as it went in', () => {
  expect(told({ calls: '1', last: '1', 'start:1': '10', 'end:1': end() }, { id: 'x' })).toEqual({
    kind: 'answered',
    callNo: 1,
    backend: 'p',
    region: 'eu',
    startedAtMs: 10,
    endedAtMs: 20,
    earlier: [],
    answer: { completion: { id: 'x' }, promptTokens: 3, completionTokens: 2, standIn: false },
  })
})

test('a call without an end, and one that was cut off, are lost; a 429 cost nothing, and is told', () => {
  const failed = (reason: string) => end({ failure: { reason, message: 'm' } })
  const fields = {
    calls: '4',
    last: '4',
    'start:1': '1',
    'start:2': '2',
    'end:2': failed('cut_off'),
    'start:3': '3',
    'end:3': failed('rate_limited'),
    'start:4': '4',
    'end:4': end(),
  }
  expect(told(fields, {}).earlier).toMatchObject([
    { callNo: 1, endedAtMs: 99, verdict: 'backend_unavailable', outcomeUnknown: true },
    { callNo: 2, endedAtMs: 20, verdict: 'backend_unavailable', outcomeUnknown: true },
    { callNo: 3, endedAtMs: 20, verdict: 'backend_overloaded', outcomeUnknown: false },
  ])
})

test.each([
  [
    { calls: '1', last: '1', 'start:1': '1', 'end:1': end({ failure: { reason: 'auth', message: '' } }) },
    'access_denied',
  ],
  [
    { calls: '1', last: '1', 'start:1': '1', 'end:1': end({ failure: { reason: 'quota', message: '' } }) },
    'quota_exhausted',
  ],
  [{ last: '0', closed: 'breaker_open' }, 'breaker_open'],
  [{ last: '0', closed: 'quota_exhausted' }, 'quota_exhausted'],
  [{ last: '0', closed: 'limit_too_small' }, 'limit_too_small'],
  [{ last: '0', closed: 'constraint_violated' }, 'constraint_violated'],
  [{ last: '0', closed: 'calls_used_up' }, 'backend_unavailable'],
] as const)('%j is verdict %s', (fields, verdict) => {
  expect(told(fields)).toMatchObject({ kind: 'failed', verdict, outcomeUnknown: false })
})

test('an attempt closed at the deadline expired, with the call under way lost', () => {
  const expired = told({ calls: '1', last: '0', 'start:1': '5', closed: 'deadline' })
  expect(expired).toMatchObject({ kind: 'expired', callNo: 0, earlier: [{ callNo: 1 }] })
})

test('an attempt that was cancelled between two calls tells of those whose answers are lost', () => {
  const fields = {
    calls: '1',
    last: '0',
    'start:1': '5',
    'end:1': end({ failure: { reason: 'timeout', message: '' } }),
  }
  expect(told({ ...fields, closed: 'cancelled' })).toMatchObject({ kind: 'cancelled', earlier: [{ callNo: 1 }] })
})

test('every call of an attempt whose calls are used up is lost, and so is an answer that came after the end', () => {
  const fields = { calls: '2', last: '0', 'start:1': '5', 'start:2': '6', 'end:2': end(), closed: 'calls_used_up' }
  expect(told(fields).earlier).toMatchObject([{ callNo: 1 }, { callNo: 2, endedAtMs: 20 }])
})

test('job ids hold no colon and are never all digits, and differ by tenant, step, record and attempt', () => {
  const ids = [
    { tenantId: 'a', stepId: '1:2', origin: 's/0/1', attempt: 1 },
    { tenantId: 'a', stepId: '1:2', origin: 's/0/1', attempt: 2 },
    { tenantId: 'a', stepId: '1:2', origin: 's/0/2', attempt: 1 },
    { tenantId: 'a:1', stepId: '2', origin: 's/0/1', attempt: 1 },
  ].map((each) => jobIdOf({ ...each, taskId: 't' }))
  expect(new Set(ids).size).toBe(4)
  for (const id of ids) expect(id).toMatch(/^a[0-9a-f]{40}$/)
})
