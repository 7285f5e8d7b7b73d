import { afterAll, beforeAll, beforeEach, expect, inject, onTestFailed, test, vi } from 'vitest'
import { completeStep } from '#lib/client/step-input'
import type { DuplicateRecord } from '#lib/events/types.generated'
import { expectExactlyOnce } from '../support/exactly-once.ts'
import { startPipeline, type Pipeline } from '../support/pipeline.ts'
import { makeStep, makeSteps, publishSteadily } from '../support/pipeline-steps.ts'

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
  await producer.disconnect()
  await pipeline.untilIdle()

  const results = await resultsOf('twin')
  expectExactlyOnce(steps, results)
  for (const { stepId, origin } of results) {
    const { priority } = steps.find((step) => step.stepId === stepId)!
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

test('the audit of all of it is whole', async () => {
  const { links, chains } = await pipeline.expectAudit()
  expect(chains).toBeGreaterThan(5)
  expect(links).toBeGreaterThan(1_000)
})
