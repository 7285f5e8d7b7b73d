import { setTimeout as sleep } from 'node:timers/promises'
import { beforeEach, expect, test, vi } from 'vitest'
import type { Standing } from '#lib/control/standing'
import type { ChatModel } from '#lib/models/chat-model'
import { ModelCallError } from '#lib/models/model-call-error'
import type { ModelJob } from '#lib/worker/call-end'
import { createCallPool } from '../../../services/oss-pool/call-pool.ts'
import { createPool, type BackendSpec, type Wanted } from '../../../services/oss-pool/pool.ts'

// Pauses are counted, not waited for.
vi.mock(import('node:timers/promises'), async (original) => ({
  ...(await original()),
  setTimeout: vi.fn<() => Promise<never>>(() => Promise.resolve() as never),
}))
beforeEach(() => void vi.mocked(sleep).mockClear())

function harness(forbidden: string | null = null, ...standing: Standing['is'][]) {
  const calls: string[] = []
  const failing = (backend: string): ChatModel => ({
    complete() {
      calls.push(backend)
      return Promise.reject(new ModelCallError('server_error', 'HTTP 500'))
    },
  })
  const spec = (id: string): BackendSpec => ({
    id,
    tier: 'oss',
    region: 'eu',
    complianceTags: [],
    model: 'open',
    modelName: 'open',
    chat: failing(id),
    maxInFlight: 1,
    identity: id,
    probeUrls: [],
    apiKey: undefined,
  })
  const pool = createPool(
    { nowMs: () => 0, batchSharePpm: () => 0, interactiveReservePpm: () => 0 },
    { failuresToEject: 9, ejectMs: 9e6, maxEjectMs: 9e6 },
  )
  pool.apply([spec('a'), spec('b')])
  const job = {
    routed: {
      step: { taskId: 't', tenantId: 'acme', priority: 'interactive', kind: 'routing' },
      decision: { maxOutputTokens: 8 },
    },
    model: { id: 'open' },
    policy: { limits: { backendWaitMs: 1_000 }, verification: { whenUnverifiable: 'accept' } },
    orders: { standing: () => ({ is: standing.shift() ?? 'free' }), held: () => new Error('held') },
    permits: ({ id }: { id: string }) => id !== forbidden,
    deadlineAtMs: 100_000,
  } as unknown as ModelJob
  const callPool = createCallPool({ pool, holdCalls: () => Promise.resolve(true), nowMs: () => 0, random: () => 0.5 })
  const call = () => callPool(job, new AbortController().signal)
  async function run() {
    expect(await call()).toMatchObject({ kind: 'failed', callNo: 3 })
    return { calls, pauses: vi.mocked(sleep).mock.calls.length }
  }
  return { pool, job, calls, call, run }
}

const wantedOf = ({ model, routed, permits }: ModelJob): Wanted => ({
  model: model.id,
  taskId: routed.step.taskId,
  tenantId: routed.step.tenantId,
  priority: routed.step.priority,
  permits,
  waitMs: 1_000,
  signal: new AbortController().signal,
})

test('after a failure the other backend is called at once', async () => {
  const { call, calls } = harness()
  const { backend, earlier } = await call()
  expect(new Set(calls)).toEqual(new Set(['a', 'b']))
  expect(vi.mocked(sleep).mock.calls).toEqual([])
  // Each has had the prompt, and the audit is to name it.
  expect([...earlier.map((each) => each.backend), backend]).toEqual(calls)
  const away = { verdict: 'backend_unavailable', detail: 'server_error: HTTP 500', outcomeUnknown: false, region: 'eu' }
  expect(earlier).toMatchObject([
    { ...away, callNo: 1 },
    { ...away, callNo: 2 },
  ])
})

test('a slot that comes after the deadline, before its timer fires, is given back unused', async () => {
  const { pool, job, calls } = harness()
  const [a, b] = [await pool.acquire(wantedOf(job)), await pool.acquire(wantedOf(job))]
  let nowMs = 99_999
  const callPool = createCallPool({
    pool,
    holdCalls: () => Promise.resolve(true),
    nowMs: () => nowMs,
    random: () => 0.5,
  })
  const end = callPool(job, new AbortController().signal)
  nowMs = 100_000
  pool.release(a!, 'interactive')
  expect(await end).toMatchObject({ kind: 'expired', outcomeUnknown: false, callNo: 0 })
  pool.release(b!, 'interactive')
  expect(calls).toEqual([])
  expect(pool.backends().map(({ inFlight }) => inFlight)).toEqual([0, 0])
})

test('the same backend is called again after a pause where the other is ejected', async () => {
  const { pool, run } = harness()
  for (let i = 0; i < 9; i++) pool.backends()[1]!.health.failed(0)
  expect(await run()).toEqual({ calls: ['a', 'a', 'a'], pauses: 2 })
})

test('and where the step may not go to the other', async () => {
  expect(await harness('a').run()).toEqual({ calls: ['b', 'b', 'b'], pauses: 2 })
})

test('an order is followed right before the call, and the slot is free again, also of a backend on trial', async () => {
  const cancelled = harness(null, 'cancelled')
  expect(await cancelled.call()).toMatchObject({ kind: 'cancelled', callNo: 0, earlier: [] })
  const paused = harness('b', 'paused', 'paused')
  for (let i = 0; i < 9; i++) paused.pool.backends()[0]!.health.failed(0)
  paused.pool.backends()[0]!.health.probed(true)
  expect(paused.pool.backends()[0]!.health.state()).toBe('trial')
  for (let i = 0; i < 2; i++) await expect(paused.call()).rejects.toThrow('held')
  for (const { pool, calls } of [cancelled, paused]) {
    expect(calls).toEqual([])
    expect(pool.backends().map(({ inFlight }) => inFlight)).toEqual([0, 0])
  }
})

test.each(['cancelled', 'paused'] as const)(
  'a step that is %s between two calls is told as far as it went',
  async (is) => {
    const { call, calls } = harness(null, 'free', is)
    expect(await call()).toMatchObject({ kind: 'failed', callNo: 1, verdict: 'backend_unavailable' })
    expect(calls).toHaveLength(1)
  },
)
