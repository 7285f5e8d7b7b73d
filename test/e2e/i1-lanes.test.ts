import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, expect, inject, onTestFailed, test, vi } from 'vitest'
import { completeStep } from '#lib/client/step-input'
import type { OperatorRecord, PolicyActivatedRecord } from '#lib/events/types.generated'
import { stageGroupNames } from '#lib/stream/stage-groups'
import { repositoryDir } from '../../cli/stack/paths.ts'
import { serviceNames } from '../../cli/stack/part-record.ts'
import { expectExactlyOnce } from '../support/exactly-once.ts'
import { startPipeline, type Pipeline } from '../support/pipeline.ts'
import { makeSteps, publishSteadily } from '../support/pipeline-steps.ts'
import { waitUntil } from '../support/wait-until.ts'

// Real processes on a machine that may be slow: a limit for what hangs, not for what takes time.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 })

let pipeline: Pipeline
let failed = false
beforeAll(async () => {
  pipeline = await startPipeline({ stack: inject('stack') })
})
beforeEach(() => onTestFailed(() => void (failed = true)))
afterAll(() => pipeline?.stopAll({ failed }))

async function resultsOf(prefix: string) {
  return (await pipeline.collectResults()).filter(({ stepId }) => stepId.startsWith(`${prefix}-`))
}

async function shunt(...args: string[]): Promise<string> {
  const env = { ...process.env, ...pipeline.env }
  const { stdout } = await promisify(execFile)(process.execPath, ['cli/main.ts', ...args], { cwd: repositoryDir, env })
  return stdout
}

test('I1: partitions added under load are read from their start, and nothing is lost or doubled', async () => {
  const before = makeSteps(150, 'grow')
  const publishing = publishSteadily(pipeline.client, before, 30)
  await pipeline.untilResults(30)
  const applied = await pipeline.applyTopics(5)
  expect(applied.lost).toEqual([])
  expect(applied.started).toContain(`${pipeline.namespace}.classifier/${pipeline.topic('agent.steps')}/4`)
  // A producer of its own, which knows of the new partitions.
  const after = makeSteps(150, 'grown')
  const producer = pipeline.kafka.producer()
  await producer.connect()
  for (const step of after)
    await producer.send({
      topic: pipeline.topic(step.priority === 'batch' ? 'agent.steps.batch' : 'agent.steps'),
      messages: [{ key: step.taskId, value: pipeline.codec.encode('step', completeStep(step)) }],
    })
  await producer.disconnect()
  await publishing
  await pipeline.untilIdle()

  expectExactlyOnce(before, await resultsOf('grow'))
  const results = await resultsOf('grown')
  expectExactlyOnce(after, results)
  expect(new Set(results.map(({ origin }) => origin.partition))).toEqual(new Set([0, 1, 2, 3, 4]))
  await pipeline.expectAudit()
})

test('I1: a service refuses lost offsets; `shunt lanes recover` heals them and nothing is doubled', async () => {
  const steps = makeSteps(200, 'lost')
  const earlier = (await pipeline.collectResults()).length
  const publishing = publishSteadily(pipeline.client, steps, 60)
  await pipeline.untilResults(earlier + 60)
  const activating = [7, 8, 9].map((maxAttempts) => pipeline.activatePolicy({ limits: { maxAttempts } }))
  await Promise.race(activating)
  // In the middle of their work, so that there are holes above what is done.
  await Promise.all(serviceNames.map((service) => pipeline.kill9(service, 0)))
  const activated = await Promise.all(activating)
  await publishing
  const admin = pipeline.kafka.admin()
  await admin.connect()
  const groups = stageGroupNames.map((group) => `${pipeline.namespace}.${group}`)
  let left = groups
  await waitUntil(async () => {
    // Refused as long as the broker counts the killed ones in.
    for (const group of left)
      await admin.deleteGroups([group]).then(
        () => (left = left.filter((other) => other !== group)),
        () => {},
      )
    return left.length === 0
  }, 'the groups to be empty')
  await admin.disconnect()

  const restarts = serviceNames.map((service) => pipeline.restart(service, 0))
  for (const service of serviceNames)
    await waitUntil(() => pipeline.logOf(service, 0).includes('SHUNT_OFFSETS_LOST'), `${service} to refuse`)
  const refused = (await resultsOf('lost')).length
  expect(refused).toBeLessThan(steps.length)

  const recovered = JSON.parse(await shunt('lanes', 'recover', '--reason', 'test', '--json')) as unknown[]
  expect(recovered.length).toBeGreaterThan(0)
  await Promise.all(restarts)
  await pipeline.untilIdle()

  expectExactlyOnce(steps, await resultsOf('lost'))
  // Of the steps before too: their records were not handled again.
  expectExactlyOnce([...makeSteps(150, 'grow'), ...makeSteps(150, 'grown'), ...steps], await pipeline.collectResults())
  const { epochs, chains } = await pipeline.expectAudit()
  expect(epochs).toBeGreaterThan(chains)
  await expectOrdersOnce(activated)
})

/** Each order is in the audit once, also where the lane of agent.control lost its offset; `hashes` were put in force. */
async function expectOrdersOnce(hashes: readonly string[]): Promise<void> {
  const orders = (await pipeline.collectAudit())
    .filter(({ record }) => record.type === 'operator' || record.type === 'policy_activated')
    .map(({ body }) => body as OperatorRecord | PolicyActivatedRecord)
  const given = pipeline.read('agent.control').map(({ offset }) => offset)
  expect(orders.map(({ offset }) => offset).toSorted((a, b) => a - b)).toEqual(given)
  const inForce = orders.flatMap((each) => ('policyHash' in each ? [each.policyHash.toString('hex')] : []))
  expect(inForce.filter((hash) => hashes.includes(hash)).toSorted()).toEqual(hashes.toSorted())
}
