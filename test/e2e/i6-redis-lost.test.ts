import { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, expect, inject, onTestFailed, test, vi } from 'vitest'
import { addLedgerCommand } from '../../cli/commands/ledger.ts'
import { expectExactlyOnce } from '../support/exactly-once.ts'
import { dumpLedger, foldAside, loseRedis } from '../support/ledger-state.ts'
import { startPipeline, type Pipeline } from '../support/pipeline.ts'
import { makeSteps, publishSteadily, tenantId } from '../support/pipeline-steps.ts'
import { runCommand } from '../support/run-command.ts'

// Real processes on a machine that may be slow: a limit for what hangs, not for what takes time.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 })

const taskBudgetMicroUsd = 3_000
const dayBudgetMicroUsd = 60_000

let pipeline: Pipeline
let redis: Redis
let failed = false
beforeAll(async () => {
  redis = new Redis(inject('stack').redisUrl)
  pipeline = await startPipeline({
    stack: inject('stack'),
    replicas: { ledger: 2, classifier: 2, frontier: 2 },
    policy: { tenants: [{ id: tenantId, taskBudgetMicroUsd, dayBudgetMicroUsd }, { id: 'globex' }] },
  })
})
beforeEach(() => onTestFailed(() => void (failed = true)))
afterAll(async () => {
  await pipeline?.stopAll({ failed })
  redis.disconnect()
})

test('I6: Redis loses all in the middle of a run: budgets and failures come to what an undisturbed fold gives, nothing overspends, every step ends', async () => {
  const steps = makeSteps(300, 'lost')
  const publishing = publishSteadily(pipeline.client, steps, 30)
  await pipeline.untilResults(40)
  expect(await loseRedis(redis, pipeline.namespace)).toBeGreaterThan(0)
  await publishing
  await pipeline.untilIdle(120_000)

  const results = await pipeline.collectResults()
  expectExactlyOnce(steps, results)
  await expectWithinCaps()
  await expectSameAsAside()
})

test('I6: shunt ledger rebuild gives the same again, beside running services', async () => {
  const before = await dumpLedger(redis, pipeline.namespace)
  const { code, out } = await runCommand([addLedgerCommand], ['ledger', 'rebuild', '--json'], '', pipeline.env)
  expect([code, JSON.parse(out)]).toEqual([0, expect.objectContaining({ folded: expect.any(Number) })])
  expect(await dumpLedger(redis, pipeline.namespace)).toEqual(before)
  const more = makeSteps(20, 'after')
  await publishSteadily(pipeline.client, more, 40)
  await pipeline.untilIdle(60_000)
  const results = (await pipeline.collectResults()).filter(({ stepId }) => stepId.startsWith('after-'))
  expectExactlyOnce(more, results)
  await expectSameAsAside()
})

/** By the audit alone: what was spent on each task, and on the day. */
async function expectWithinCaps(): Promise<void> {
  const spent = new Map<string, number>()
  let onTheDay = 0
  for (const { record, body } of await pipeline.collectAudit()) {
    if (record.type !== 'attempt') continue
    const { taskId, attempt } = body as { taskId: string; attempt: { costMicroUsd: number } }
    spent.set(taskId, (spent.get(taskId) ?? 0) + attempt.costMicroUsd)
    onTheDay += attempt.costMicroUsd
  }
  expect(onTheDay).toBeGreaterThan(0)
  expect(onTheDay).toBeLessThanOrEqual(dayBudgetMicroUsd)
  for (const micros of spent.values()) expect(micros).toBeLessThanOrEqual(taskBudgetMicroUsd)
}

async function expectSameAsAside(): Promise<void> {
  const aside = `${pipeline.namespace}-aside-${Math.random().toString(36).slice(2, 8)}`
  await foldAside({ redis, codec: pipeline.codec }, await pipeline.collectAudit(), aside, [tenantId, 'globex'])
  const undisturbed = await dumpLedger(redis, aside)
  expect(Object.keys(undisturbed).length).toBeGreaterThan(3)
  expect(await dumpLedger(redis, pipeline.namespace)).toEqual(undisturbed)
}
