import { afterAll, beforeAll, beforeEach, expect, inject, onTestFailed, test, vi } from 'vitest'
import { CompressionTypes } from 'kafkajs'
import { maxStepBytes } from '#lib/events/topics'
import { completeStep } from '#lib/client/step-input'
import type { DecisionRecord, DuplicateRecord } from '#lib/events/types.generated'
import { expectExactlyOnce } from '../support/exactly-once.ts'
import type { ReadLink } from '../support/audit-chains.ts'
import { startPipeline, type Pipeline } from '../support/pipeline.ts'
import { makeStep, makeSteps, publishSteadily } from '../support/pipeline-steps.ts'
import { waitUntil } from '../support/wait-until.ts'

// Real processes on a machine that may be slow: a limit for what hangs, not for what takes time.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 })

let pipeline: Pipeline
let failed = false
beforeAll(async () => {
  pipeline = await startPipeline({ stack: inject('stack'), replicas: { classifier: 2 } })
})
beforeEach(() => onTestFailed(() => void (failed = true)))
afterAll(() => pipeline?.stopAll({ failed }))

async function resultsOf(prefix: string) {
  return (await pipeline.collectResults()).filter(({ stepId }) => stepId.startsWith(`${prefix}-`))
}

const isDecisionOf =
  (prefix: string) =>
  ({ record, body }: ReadLink): boolean =>
    record.type === 'decision' && (body as DecisionRecord).stepId.startsWith(`${prefix}-`)

/** A batch step of as many bytes as a step may have, which its topic takes only compressed. */
function largestStep(stepId: string) {
  const sized = (length: number) => {
    const request = { messages: [{ role: 'user', content: 'x'.repeat(length) }] }
    const step = makeStep(stepId, { priority: 'batch', request })
    return { step, value: Buffer.from(JSON.stringify(step)) }
  }
  return sized(maxStepBytes - sized(0).value.length)
}

async function duplicatesOf(prefix: string): Promise<DuplicateRecord[]> {
  const links = await pipeline.collectAudit()
  return links
    .filter(({ record }) => record.type === 'duplicate')
    .map(({ body }) => body as DuplicateRecord)
    .filter(({ stepId }) => stepId.startsWith(`${prefix}-`))
}

test('I1: the same steps published twice, one file after the other, are called and answered once', async () => {
  const steps = makeSteps(100, 'again').filter(({ kind }) => kind === 'classification')
  await Promise.all(steps.map((step) => pipeline.client.publish(step)))
  await pipeline.untilIdle()
  const calls = pipeline.models.calls()
  await Promise.all(steps.map((step) => pipeline.client.publish(step)))
  await pipeline.untilIdle()

  expectExactlyOnce(steps, await resultsOf('again'))
  expect(pipeline.models.calls()).toBe(calls)
  const duplicates = await duplicatesOf('again')
  expectExactlyOnce(steps, duplicates)
  for (const { first, origin } of duplicates)
    expect(first).not.toBe(`${origin.topic}/${origin.partition}/${origin.offset}`)
})

test('I1: the same steps published at the same time by several are called and answered once', async () => {
  const steps = makeSteps(100, 'together')
  const calls = pipeline.models.calls()
  await Promise.all([...steps, ...steps, ...steps].map((step) => pipeline.client.publish(step)))
  await pipeline.untilIdle()

  expectExactlyOnce(steps, await resultsOf('together'))
  // A weak answer is followed by a call of the frontier model.
  const weak = steps.filter(
    ({ kind, request }) => kind === 'classification' && JSON.stringify(request).includes('WEAK'),
  )
  expect(pipeline.models.calls() - calls).toBe(steps.length + weak.length)
  const duplicates = await duplicatesOf('together')
  expect(duplicates).toHaveLength(2 * steps.length)
})

test('I1: another content under the same stepId is rejected, and the first keeps its one result', async () => {
  const steps = makeSteps(20, 'conflict')
  await Promise.all(steps.map((step) => pipeline.client.publish(step)))
  await Promise.all(steps.map((step) => pipeline.client.publish({ ...step, metadata: { other: 'content' } })))
  await pipeline.untilIdle()

  const results = await resultsOf('conflict')
  expectExactlyOnce(
    steps,
    results.filter(({ status }) => status !== 'rejected'),
  )
  const rejected = results.filter(({ status }) => status === 'rejected')
  expectExactlyOnce(steps, rejected)
  expect(new Set(rejected.map(({ code }) => code))).toEqual(new Set(['SHUNT_STEP_ID_CONFLICT']))
})

test('I1: the same stepId of two tenants is two steps', async () => {
  const steps = [makeStep('tenants-1'), makeStep('tenants-1', { tenantId: 'globex' })]
  await Promise.all(steps.map((step) => pipeline.client.publish(step)))
  await pipeline.untilIdle()
  expectExactlyOnce(steps, await resultsOf('tenants'))
})

test('I1: steps in the wrong twin are moved, and have one result', async () => {
  const steps = makeSteps(40, 'twin')
  const largest = largestStep('twin-largest')
  const producer = pipeline.kafka.producer()
  await producer.connect()
  for (const [topic, priority] of [
    ['agent.steps', 'batch'],
    ['agent.steps.batch', 'interactive'],
  ] as const) {
    const wrong = steps.filter((step) => step.priority === priority)
    await producer.send({
      topic: pipeline.topic(topic),
      messages: wrong.map((step) => ({ key: step.taskId, value: pipeline.codec.encode('step', completeStep(step)) })),
    })
  }
  await producer.send({
    topic: pipeline.topic('agent.steps'),
    compression: CompressionTypes.GZIP,
    messages: [{ key: largest.step.taskId, value: largest.value }],
  })
  await producer.disconnect()
  await pipeline.untilIdle()

  const results = await resultsOf('twin')
  const all = [...steps, largest.step]
  expectExactlyOnce(all, results)
  expect(results.filter(({ status }) => status === 'rejected')).toEqual([])
  for (const { stepId, origin } of results) {
    const { priority } = all.find((step) => step.stepId === stepId)!
    expect(origin.topic).toBe(pipeline.topic(priority === 'batch' ? 'agent.steps.batch' : 'agent.steps'))
  }
})

test('I1: a policy activated under load leaves one result a step, under the policy that decided it', async () => {
  const steps = makeSteps(300, 'policy')
  const publishing = publishSteadily(pipeline.client, steps, 60)
  const before = (await resultsOf('policy')).length
  await pipeline.untilResults((await pipeline.collectResults()).length - before + 50)
  const hash = await pipeline.activatePolicy({ limits: { maxAttempts: 4 } })
  await publishing
  await pipeline.untilIdle()

  const results = await resultsOf('policy')
  expectExactlyOnce(steps, results)
  const hashes = Map.groupBy(results, ({ policyHash }) => policyHash)
  expect([...hashes.keys()]).toContain(hash)
  expect(hashes.size).toBe(2)
  expect(new Set(results.map(({ status }) => status))).toEqual(new Set(['completed']))
})

test('I1: a policy that takes a model away, and moves one to the other tier, leaves one result a step in flight', async () => {
  const secret = 'patient-Smith'
  const held = Array.from({ length: 24 }, (_, i) =>
    makeStep(`retier-${i}`, {
      kind: i % 3 === 0 ? 'reasoning' : 'classification',
      priority: i % 4 === 0 ? 'batch' : 'interactive',
      says: secret,
    }),
  )
  const workers = ['oss-pool', 'frontier'] as const
  await pipeline.untilIdle()
  const lettersBefore = (await pipeline.collectDeadLetters()).length
  await Promise.all(workers.map((service) => pipeline.kill9(service, 0)))
  await Promise.all(held.map((step) => pipeline.client.publish(step)))
  const decided = async () => (await pipeline.collectAudit()).filter(isDecisionOf('retier')).length
  await waitUntil(async () => (await decided()) === held.length, 'every step to be decided under the old policy')

  // `open` goes to the frontier, `frontier` goes away, and a new model takes the place of `open`.
  const { oss, frontier } = pipeline.models
  const price = { inputMicroUsdPerMTok: 0, outputMicroUsdPerMTok: 0 }
  const common = { contextTokens: 32_768, maxOutputTokens: 256, price }
  const at = { apiKeyEnv: 'SIMULATOR_KEY', region: 'local' }
  const hash = await pipeline.activatePolicy({
    models: [
      { id: 'small', name: 'open', tier: 'oss', ...common },
      { id: 'open', name: 'frontier', tier: 'frontier', ...common },
    ],
    backends: [{ id: 'backend-0', model: 'small', baseUrl: `${oss[0]!.url}/v1`, ...at }],
    providers: [{ id: 'backend-1', api: 'openai', models: ['open'], baseUrl: `${frontier.url}/v1`, ...at }],
  })
  const isFollowed = (index: number) => pipeline.logOf('classifier', index).includes(hash)
  await waitUntil(() => isFollowed(0) && isFollowed(1), 'the classifiers to follow')
  const later = makeSteps(60, 'retiered')
  const publishing = publishSteadily(pipeline.client, later, 30)
  await Promise.all(workers.map((service) => pipeline.restart(service, 0)))
  await publishing
  await pipeline.untilIdle()

  const results = [...(await resultsOf('retier')), ...(await resultsOf('retiered'))]
  expectExactlyOnce([...held, ...later], results)
  for (const { stepId, status, attempts, policyHash } of results) {
    expect([stepId, status, policyHash]).toEqual([stepId, 'completed', hash])
    if (stepId.startsWith('retier-')) expect(attempts[0]).toMatchObject({ callNo: 0, detail: 'not_in_policy' })
  }
  expect(await pipeline.collectDeadLetters()).toHaveLength(lettersBefore)

  const log = workers.map((service) => pipeline.logOf(service, 0)).join('')
  for (const { stepId, taskId } of held) {
    const line = log.split('\n').find((each) => each.includes(`"stepId":"${stepId}"`))
    expect(line).toContain(`"taskId":"${taskId}"`)
    expect(line).toContain('"verdict":"backend_unavailable"')
  }
  expect(log + pipeline.logOf('classifier', 0) + pipeline.logOf('classifier', 1)).not.toContain(secret)
})

test('the audit of all of it is whole', async () => {
  const { links, chains } = await pipeline.expectAudit()
  expect(chains).toBeGreaterThan(5)
  expect(links).toBeGreaterThan(1_000)
})
