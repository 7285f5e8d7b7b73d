import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { expect, inject, onTestFinished, test } from 'vitest'
import { verdicts } from '#lib/models/verdicts'
import type { OpenAiRequest } from '../simulators/openai-request.ts'
import { startPipeline, type Pipeline, type PipelineOptions } from '../support/pipeline.ts'
import { weakMark } from '../support/pipeline-models.ts'
import { makeStep } from '../support/pipeline-steps.ts'
import { waitUntil } from '../support/wait-until.ts'

async function start(options: Omit<PipelineOptions, 'stack'>): Promise<Pipeline> {
  const pipeline = await startPipeline({ stack: inject('stack'), partitions: 1, ...options })
  onTestFinished(({ task }) => pipeline.stopAll({ failed: task.result?.state === 'fail' }))
  return pipeline
}

const hard = (stepId: string) => makeStep(stepId, { kind: 'reasoning' })

async function resultsOf(pipeline: Pipeline, steps: ReturnType<typeof makeStep>[], inAll = steps.length) {
  await Promise.all(steps.map((step) => pipeline.client.publish(step)))
  await pipeline.untilResults(inAll, 90_000)
  await pipeline.untilIdle()
  return new Map((await pipeline.collectResults()).map((result) => [result.stepId, result]))
}

async function countKeys(pattern: string): Promise<number> {
  const redis = new Redis(inject('stack').redisUrl)
  try {
    return (await redis.keys(pattern)).length
  } finally {
    redis.disconnect()
  }
}

test('I1: a process killed between the answer and the commit reuses the stored answer: no second call', async () => {
  // A busy lane then commits seldom, which leaves the time to kill it.
  const pipeline = await start({ serviceEnv: { frontier: { SHUNT_COMMIT_INTERVAL_MS: '20000' } } })
  await resultsOf(pipeline, [hard('first')])
  const steps = Array.from({ length: 5 }, (_, i) => hard(`paid${i}`))
  await Promise.all(steps.map((step) => pipeline.client.publish(step)))
  await waitUntil(async () => (await countKeys(`${pipeline.namespace}.*:answer:*`)) === 6, 'six stored answers')
  await pipeline.kill9('frontier', 0)
  expect(pipeline.read('agent.results')).toHaveLength(1)
  await pipeline.restart('frontier', 0)
  await pipeline.untilResults(6, 90_000)
  await pipeline.untilIdle()
  for (const step of steps) expect(pipeline.models.callsOf(step.stepId)).toBe(1)
  const results = await pipeline.collectResults()
  expect(results.map(({ status }) => status)).toEqual(Array(6).fill('completed'))
  for (const { attempts } of results) expect(attempts).toMatchObject([{ callNo: 1, outcomeUnknown: false }])
  expect(await countKeys(`${pipeline.namespace}.*:request:*`)).toBe(0)
  await pipeline.expectAudit()
})

test('I1: a stepId used again after the dedupe window is another step: it is called, not given the stored answer', async () => {
  const dedupeWindowMs = 1_000
  const pipeline = await start({ policy: { limits: { dedupeWindowMs } } })
  await resultsOf(pipeline, [hard('row-1')])
  await sleep(dedupeWindowMs + 200)
  await resultsOf(pipeline, [makeStep('row-1', { kind: 'reasoning', says: 'with other content' })], 2)
  const results = await pipeline.collectResults()
  expect(results.map(({ status }) => status)).toEqual(['completed', 'completed'])
  expect(new Set(results.map(({ origin }) => origin.offset)).size).toBe(2)
  expect(pipeline.models.callsOf('row-1')).toBe(2)
})

test('a call cut off by a crash is made again, and the first is told as one of unknown outcome, charged at its bound', async () => {
  const pipeline = await start({ frontier: { latencyMs: 4_000 } })
  await pipeline.client.publish(hard('torn'))
  await waitUntil(() => pipeline.models.callsOf('torn') === 1, 'the call')
  await pipeline.kill9('frontier', 0)
  await pipeline.restart('frontier', 0)
  await pipeline.untilResults(1, 90_000)
  await pipeline.untilIdle()
  expect(pipeline.models.callsOf('torn')).toBe(2)
  const [result] = await pipeline.collectResults()
  expect(result).toMatchObject({ status: 'completed', attempts: [{ callNo: 2, outcomeUnknown: true }] })
  const paid = result!.promptTokens * 3 + result!.completionTokens * 15
  expect(result!.costMicroUsd).toBeGreaterThan(paid)
})

test('429s are waited out as the provider asks, and 500s tried again', async () => {
  const pipeline = await start({ frontier: { rateLimitedPpm: 300_000, serverErrorPpm: 150_000, latencyMs: 5 } })
  const results = await resultsOf(
    pipeline,
    Array.from({ length: 8 }, (_, i) => hard(`limited${i}`)),
  )
  for (const result of results.values()) expect(result).toMatchObject({ status: 'completed', tier: 'frontier' })
  expect(pipeline.models.frontier.arrivals.length).toBeGreaterThan(8)
})

test('without a key the stand-in answers where the policy allows it, and every result says so', async () => {
  const provider = { id: 'provider', api: 'openai' as const, models: ['frontier'], region: 'local' }
  const pipeline = await start({
    policy: { providers: [{ ...provider, apiKeyEnv: 'KEY_THAT_NOBODY_SET', standInWithoutKey: true }] },
  })
  const results = await resultsOf(pipeline, [hard('tried')])
  expect(results.get('tried')).toMatchObject({ status: 'completed', standIn: true, costMicroUsd: 0 })
  expect(results.get('tried')?.answer).toContain('stand-in')
  expect(pipeline.models.frontier.arrivals).toHaveLength(0)
  expect(pipeline.logOf('frontier', 0)).toContain('STAND-IN')
})

test('I2: a policy that turns air-gapped closes the queues, and no provider receives another request', async () => {
  const pipeline = await start({})
  await resultsOf(pipeline, [hard('before')])
  await pipeline.activatePolicy({ airGapped: true, rules: [] })
  await waitUntil(() => pipeline.logOf('frontier', 0).includes('"queues":[]'), 'the queues to close')
  await waitUntil(() => pipeline.logOf('classifier', 0).split('policy in force').length > 2, 'the classifier to follow')
  const results = await resultsOf(pipeline, [hard('after')], 2)
  expect(results.get('after')).toMatchObject({ tier: 'oss', status: 'completed' })
  expect(pipeline.models.callsOf('after')).toBe(1)
  expect(pipeline.models.frontier.arrivals).toHaveLength(1)
})

test('the frontier is shown the weak answer where the policy says so, and not where it does not', async () => {
  const pipeline = await start({})
  const weak = (stepId: string) => makeStep(stepId, { says: weakMark })
  const plain = await resultsOf(pipeline, [weak('plain')])
  const hash = await pipeline.activatePolicy({ reroute: { hint: true } })
  await waitUntil(() => pipeline.logOf('classifier', 0).includes(hash), 'the classifier to follow')
  const hinted = await resultsOf(pipeline, [weak('hinted')], 2)
  for (const result of [plain.get('plain'), hinted.get('hinted')])
    expect(result).toMatchObject({ tier: 'frontier', attempts: [{ verdict: 'truncated' }, { verdict: 'ok' }] })
  const sent = pipeline.models.frontier.arrivals.map(({ body }) => (body as OpenAiRequest).messages)
  expect(sent).toMatchObject([
    [{ role: 'user', content: `step plain ${weakMark}` }],
    [
      { role: 'user', content: `step hinted ${weakMark}` },
      { role: 'assistant', content: 'cut o' },
      { role: 'user', content: expect.stringContaining(verdicts.truncated.meaning) as string },
    ],
  ])
  await pipeline.expectAudit()
})
