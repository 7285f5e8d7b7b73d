import { setTimeout as sleep } from 'node:timers/promises'
import { beforeEach, expect, test, vi } from 'vitest'
import type { ChatModel } from '#lib/models/chat-model'
import { ModelCallError } from '#lib/models/model-call-error'
import type { ModelJob } from '#lib/worker/call-end'
import { createCallPool } from '../../../services/oss-pool/call-pool.ts'
import { createPool, type BackendSpec } from '../../../services/oss-pool/pool.ts'

// Pauses are counted, not waited for.
vi.mock(import('node:timers/promises'), async (original) => ({
  ...(await original()),
  setTimeout: vi.fn<() => Promise<never>>(() => Promise.resolve() as never),
}))
beforeEach(() => void vi.mocked(sleep).mockClear())

function harness(forbidden: string | null = null) {
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
    { nowMs: () => 0, batchSharePpm: () => 0 },
    { failuresToEject: 9, ejectMs: 9e6, maxEjectMs: 9e6 },
  )
  pool.apply([spec('a'), spec('b')])
  const job = {
    routed: { step: { taskId: 't', priority: 'interactive' }, decision: { maxOutputTokens: 8 } },
    model: { id: 'open' },
    policy: { limits: { backendWaitMs: 1_000 } },
    permits: ({ id }: { id: string }) => id !== forbidden,
    deadlineAtMs: 100_000,
  } as unknown as ModelJob
  async function run() {
    const callPool = createCallPool({ pool, nowMs: () => 0, random: () => 0.5 })
    expect(await callPool(job, new AbortController().signal)).toMatchObject({ kind: 'failed', callNo: 3 })
    return { calls, pauses: vi.mocked(sleep).mock.calls.length }
  }
  return { pool, run }
}

test('after a failure the other backend is called at once', async () => {
  const { calls, pauses } = await harness().run()
  expect(new Set(calls)).toEqual(new Set(['a', 'b']))
  expect(pauses).toBe(0)
})

test('the same backend is called again after a pause where the other is ejected', async () => {
  const { pool, run } = harness()
  for (let i = 0; i < 9; i++) pool.backends()[1]!.health.failed(0)
  expect(await run()).toEqual({ calls: ['a', 'a', 'a'], pauses: 2 })
})

test('and where the step may not go to the other', async () => {
  expect(await harness('a').run()).toEqual({ calls: ['b', 'b', 'b'], pauses: 2 })
})
