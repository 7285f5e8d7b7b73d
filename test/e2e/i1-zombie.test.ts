import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, expect, inject, onTestFailed, test, vi } from 'vitest'
import { startBadLoad } from '../support/bad-load.ts'
import { expectExactlyOnce } from '../support/exactly-once.ts'
import { startPipeline, type Pipeline } from '../support/pipeline.ts'
import { makeSteps, publishSteadily } from '../support/pipeline-steps.ts'

/** Past the group's session time-out of 6 s, and the transaction time-out of 10 s. */
const frozenMs = 12_000

// Real processes on a machine that may be slow: a limit for what hangs, not for what takes time.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 })

let pipeline: Pipeline
let failed = false
beforeAll(async () => {
  pipeline = await startPipeline({ stack: inject('stack'), replicas: { classifier: 2, 'oss-pool': 2, frontier: 2 } })
})
beforeEach(() => onTestFailed(() => void (failed = true)))
afterAll(() => pipeline?.stopAll({ failed }))

test('I1, I7: a classifier, a pool and a frontier worker that hang past their sessions and wake up double nothing and lose no bad record', async () => {
  const steps = makeSteps(500, 'zombie')
  const publishing = publishSteadily(pipeline.client, steps, 25)
  const bad = await startBadLoad(pipeline, 'zombie', 60)
  await pipeline.untilResults(10)
  for (const service of ['classifier', 'oss-pool', 'frontier'] as const) pipeline.freeze(service, 0)
  await sleep(frozenMs)
  for (const service of ['classifier', 'oss-pool', 'frontier'] as const) pipeline.thaw(service, 0)
  await Promise.all([publishing, bad.published])
  await pipeline.untilIdle()

  const results = await bad.expectDeadLetters()
  expectExactlyOnce(steps, results)
  expect(new Set(results.map(({ status }) => status))).toEqual(new Set(['completed']))
  await pipeline.expectAudit()
  expect(pipeline.deaths()).toBe(0)
})
