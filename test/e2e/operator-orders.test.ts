import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { expect, inject, onTestFinished, test } from 'vitest'
import type { ControlOrder, OperatorRecord, PolicyActivatedRecord } from '#lib/events/types.generated'
import { startPipeline, type Pipeline, type PipelineOptions } from '../support/pipeline.ts'
import { makeStep } from '../support/pipeline-steps.ts'
import { waitUntil } from '../support/wait-until.ts'

const main = join(import.meta.dirname, '..', '..', 'cli', 'main.ts')
/** Within which every replica follows an order, and some time to answer. */
const effectMs = 6_000

async function start(options: Omit<PipelineOptions, 'stack'>): Promise<Pipeline> {
  const pipeline = await startPipeline({ stack: inject('stack'), partitions: 2, ...options })
  onTestFinished(({ task }) => pipeline.stopAll({ failed: task.result?.state === 'fail' }))
  return pipeline
}

const hard = (stepId: string, more: Parameters<typeof makeStep>[1] = {}) =>
  makeStep(stepId, { kind: 'reasoning', ...more })

/** `shunt ARGS --reason … --json`: the order as it was written. */
function order({ env }: Pipeline, ...args: string[]): Promise<ControlOrder> {
  const { promise, resolve, reject } = Promise.withResolvers<ControlOrder>()
  const given = [main, ...args, '--reason', 'of the test', '--actor', 'tester', '--json']
  execFile(process.execPath, given, { env: { ...process.env, ...env } }, (error, stdout, stderr) =>
    error ? reject(new Error(stderr)) : resolve(JSON.parse(stdout) as ControlOrder),
  )
  return promise
}

const replicas = { frontier: 2 }
const workers = [
  ['classifier', 0],
  ['oss-pool', 0],
  ['frontier', 0],
  ['frontier', 1],
] as const

/** Every process follows it, as promised within 5 s. */
async function untilFollowed(pipeline: Pipeline, { orderId, atMs }: ControlOrder): Promise<void> {
  const lines = () =>
    workers.flatMap(([service, index]) =>
      pipeline
        .logOf(service, index)
        .split('\n')
        .filter((line) => line.includes(orderId)),
    )
  await waitUntil(() => lines().length === workers.length, 'every process to follow the order', effectMs)
  const delaysMs = lines().map((line) => (JSON.parse(line) as { time: number }).time - atMs)
  expect(Math.max(...delaysMs)).toBeLessThan(5_000)
}

/** So many times a step was held. */
async function untilHeld(pipeline: Pipeline, service: 'classifier' | 'frontier', count: number): Promise<void> {
  const held = async (index: number) =>
    pipeline.metric(service, index, 'shunt_records_retried_total', { code: 'SHUNT_PAUSED' })
  const total = async () => (await held(0)) + (service === 'frontier' ? await held(1) : 0)
  await waitUntil(async () => (await total()) >= count, `${count} steps to be held`)
}

async function results(pipeline: Pipeline) {
  return new Map((await pipeline.collectResults()).map((result) => [result.stepId, result]))
}

async function publish(pipeline: Pipeline, ...steps: ReturnType<typeof makeStep>[]): Promise<void> {
  await Promise.all(steps.map((step) => pipeline.client.publish(step)))
}

test('a paused frontier is not called and holds up no other step; cancelled steps end once, the others go on', async () => {
  const pipeline = await start({ replicas })
  const paused = await order(pipeline, 'pause', 'frontier')
  expect(paused).toMatchObject({
    name: 'pause/frontier',
    actor: 'tester',
    reason: 'of the test',
    value: '{"paused":true}',
  })
  await untilFollowed(pipeline, paused)
  const doomed = Array.from({ length: 6 }, (_, i) => hard(`doomed${i}`, { taskId: 'doomed task/1' }))
  await publish(pipeline, ...doomed, hard('late', { deadlineAtMs: Date.now() + 4_000 }), hard('kept'), makeStep('easy'))
  await untilHeld(pipeline, 'frontier', 8)
  await pipeline.untilResults(2)
  expect([...(await results(pipeline)).values()].map(({ stepId, status }) => `${stepId} ${status}`).toSorted()).toEqual(
    ['easy completed', 'late expired'],
  )

  await order(pipeline, 'cancel', '--task', 'doomed task/1', '--tenant', 'acme')
  await pipeline.untilResults(8, effectMs)
  // Of the same task, published after the order.
  await publish(pipeline, hard('after', { taskId: 'doomed task/1' }))
  await untilHeld(pipeline, 'frontier', 9)
  expect(pipeline.models.frontier.arrivals).toEqual([])

  await order(pipeline, 'resume', 'frontier')
  await pipeline.untilResults(10, effectMs)
  await pipeline.untilIdle()
  const all = await results(pipeline)
  for (const { stepId } of doomed)
    expect(all.get(stepId)).toMatchObject({ status: 'cancelled', code: 'SHUNT_CANCELLED', attempts: [] })
  for (const stepId of ['kept', 'after'])
    expect(all.get(stepId)).toMatchObject({ status: 'completed', tier: 'frontier' })
  expect(pipeline.models.frontier.arrivals).toHaveLength(2)
  expect(pipeline.read('agent.results')).toHaveLength(10)
  await pipeline.expectAudit()
})

test('a paused tenant waits undecided while others are served, and a batch can be cancelled before it is decided', async () => {
  const pipeline = await start({ replicas })
  await untilFollowed(pipeline, await order(pipeline, 'pause', 'tenant', 'globex'))
  const globex = (stepId: string, batchId?: string) =>
    makeStep(stepId, { tenantId: 'globex', ...(batchId !== undefined && { batchId }) })
  await publish(pipeline, globex('g1'), globex('g2', 'night'), globex('g3', 'night'))
  await untilHeld(pipeline, 'classifier', 3)
  await publish(pipeline, makeStep('a1'))
  await pipeline.untilResults(1)
  await order(pipeline, 'cancel', '--batch', 'night', '--tenant', 'globex', '--yes')
  await pipeline.untilResults(3, effectMs)
  expect(pipeline.models.callsOf('g1')).toBe(0)
  await order(pipeline, 'resume', 'tenant', 'globex')
  await pipeline.untilResults(4, effectMs)
  await pipeline.untilIdle()
  const statuses = [...(await results(pipeline)).values()].map(({ stepId, status }) => `${stepId} ${status}`)
  expect(statuses.toSorted()).toEqual(['a1 completed', 'g1 completed', 'g2 cancelled', 'g3 cancelled'])
  await pipeline.expectAudit()
})

test('what was sent completes and counts; what waits in the queue of the provider is not called after the order', async () => {
  const provider = { id: 'provider', api: 'openai' as const, models: ['frontier'], region: 'local', maxInFlight: 1 }
  const key = { apiKeyEnv: 'SIMULATOR_KEY' }
  // One call at a time in each of the two processes.
  const pipeline = await start({ replicas, frontier: { latencyMs: 8_000 } })
  const baseUrl = `${pipeline.models.frontier.url}/v1`
  const hash = await pipeline.activatePolicy({ providers: [{ ...provider, ...key, baseUrl }] })
  await waitUntil(
    () => workers.every(([service, index]) => pipeline.logOf(service, index).includes(hash)),
    'the policy',
  )
  await publish(pipeline, ...Array.from({ length: 6 }, (_, i) => hard(`q${i}`)))
  await waitUntil(() => pipeline.models.frontier.arrivals.length === 2, 'two calls')
  await untilFollowed(pipeline, await order(pipeline, 'pause', 'model', 'frontier'))
  // The others gave up their slots, their jobs still in the queue.
  await untilHeld(pipeline, 'frontier', 4)
  await order(pipeline, 'cancel', '--tenant', 'acme', '--all-steps')
  await pipeline.untilResults(6)
  await order(pipeline, 'resume', 'model', 'frontier')
  await publish(pipeline, hard('next'))
  await pipeline.untilResults(7)
  await pipeline.untilIdle()
  const all = [...(await results(pipeline)).values()]
  expect(all.filter(({ status }) => status === 'completed')).toHaveLength(3)
  expect(all.filter(({ status }) => status === 'cancelled')).toHaveLength(4)
  expect(pipeline.models.frontier.arrivals).toHaveLength(3)
  await pipeline.expectAudit()
  await expectOrdersInAudit(pipeline, hash)
})

/** Each order is in the audit, by its offset: those that put a policy in force as such, `last` the last of them. */
async function expectOrdersInAudit(pipeline: Pipeline, last: string): Promise<void> {
  const inAudit = (await pipeline.collectAudit())
    .filter(({ record }) => record.type === 'operator' || record.type === 'policy_activated')
    .map(({ record, body }) => ({ type: record.type, ...(body as OperatorRecord | PolicyActivatedRecord) }))
    .toSorted((a, b) => a.offset - b.offset)
  const given = pipeline.read('agent.control')
  expect(inAudit.map(({ offset, order }) => [offset, order.name])).toEqual(
    given.map(({ offset, key }) => [offset, key]),
  )
  const activated = inAudit.filter((each) => 'policyHash' in each)
  expect(inAudit.filter(({ order }) => order.name === 'policy')).toEqual(activated)
  expect(activated.map(({ type }) => type)).toEqual(['policy_activated', 'policy_activated'])
  expect(activated.at(-1)!.policyHash.toString('hex')).toBe(last)
}

test('a slip of the pen is told, and orders nothing', async () => {
  const pipeline = await start({})
  await expect(order(pipeline, 'pause', 'tenant', 'globx')).rejects.toThrow(/SHUNT_ORDER_INVALID.*did you mean globex/)
  await expect(order(pipeline, 'cancel', '--tenant', 'nobody', '--all-steps')).rejects.toThrow('has no tenant nobody')
  expect(pipeline.read('agent.control').filter(({ key }) => /pause|cancel/.test(key))).toEqual([])
})
