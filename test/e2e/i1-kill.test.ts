import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, expect, inject, onTestFailed, test, vi } from 'vitest'
import { serviceNames } from '../../cli/stack/part-record.ts'
import { startBadLoad } from '../support/bad-load.ts'
import { expectExactlyOnce } from '../support/exactly-once.ts'
import { startPipeline, type Pipeline } from '../support/pipeline.ts'
import { makeSteps, publishSteadily } from '../support/pipeline-steps.ts'

// Real processes on a machine that may be slow: a limit for what hangs, not for what takes time.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 })

let pipeline: Pipeline
let failed = false
beforeAll(async () => {
  pipeline = await startPipeline({
    stack: inject('stack'),
    replicas: { ledger: 2, classifier: 3, 'oss-pool': 3, frontier: 3 },
  })
})
beforeEach(() => onTestFailed(() => void (failed = true)))
afterAll(() => pipeline?.stopAll({ failed }))

test('I1, I7: kill -9 of each service in turn, twice, under load leaves one result a step and loses no bad record', async () => {
  const steps = makeSteps(600, 'kill')
  const publishing = publishSteadily(pipeline.client, steps, 40)
  const bad = await startBadLoad(pipeline, 'kill', 40)
  const restarts: Promise<void>[] = []
  for (const replica of [0, 1])
    for (const service of serviceNames) {
      await pipeline.untilResults(10)
      await sleep(1_500)
      await pipeline.kill9(service, replica)
      restarts.push(pipeline.restart(service, replica))
    }
  await Promise.all([publishing, bad.published, ...restarts])
  await pipeline.untilIdle()

  const results = await bad.expectDeadLetters()
  expectExactlyOnce(steps, results)
  expect(new Set(results.map(({ status }) => status))).toEqual(new Set(['completed']))
  await pipeline.expectAudit()
})
