import { expect, inject, onTestFinished, test } from 'vitest'
import type { StepResult } from '#lib/events/types.generated'
import { startPipeline, type Pipeline, type PipelineOptions } from '../support/pipeline.ts'
import { makeStep } from '../support/pipeline-steps.ts'
import { waitUntil } from '../support/wait-until.ts'

/** The pipeline, and the results in the order of their coming. */
async function start(options: Omit<PipelineOptions, 'stack'>): Promise<{ pipeline: Pipeline; results: StepResult[] }> {
  const pipeline = await startPipeline({ stack: inject('stack'), partitions: 2, ...options })
  onTestFinished(({ task }) => pipeline.stopAll({ failed: task.result?.state === 'fail' }))
  const results: StepResult[] = []
  pipeline.client.onResult((result) => void results.push(result))
  return { pipeline, results }
}

test('interactive steps are answered while thousands of batch steps are queued, and the batch goes on', async () => {
  const { pipeline, results } = await start({ oss: [{ latencyMs: 50 }] })
  const batchCount = 2_000
  await pipeline.client.publishAll(
    Array.from({ length: batchCount }, (_, i) => makeStep(`b${i}`, { priority: 'batch' })),
    {},
  )
  await waitUntil(() => results.length > 0, 'the batch to be under way')
  const asked = Array.from({ length: 10 }, (_, i) => makeStep(`i${i}`))
  for (const step of asked)
    expect(await pipeline.client.ask(step)).toMatchObject({ status: 'completed', attempts: [{ verdict: 'ok' }] })

  const batchDone = results.length - asked.length
  expect(batchDone).toBeGreaterThan(0)
  expect(batchDone).toBeLessThan(batchCount)
  await pipeline.untilResults(batchCount + asked.length, 60_000)
  await pipeline.untilIdle()
  expect(pipeline.models.calls()).toBe(batchCount + asked.length)
})

test('a tenant that publishes a burst does not hold up the step of another in the same lanes', async () => {
  const { pipeline, results } = await start({ oss: [{ latencyMs: 200 }] })
  const burst = Array.from({ length: 400 }, (_, i) => makeStep(`burst-${i}`))
  await pipeline.client.publishAll(burst, {})
  const quiet = await Promise.all(
    Array.from({ length: 4 }, (_, i) => pipeline.client.ask(makeStep(`quiet-${i}`, { tenantId: 'globex' }))),
  )
  expect(quiet.map(({ status }) => status)).toEqual(Array(4).fill('completed'))
  expect(results.length).toBeLessThan(burst.length / 2)
  await pipeline.untilResults(burst.length + quiet.length, 60_000)
})

test('a batch step whose deadline passes while it waits for a slot expires, and no call is made for it', async () => {
  const { pipeline } = await start({ oss: [{ latencyMs: 4_000 }] })
  const asked = Array.from({ length: 16 }, (_, i) => makeStep(`long-${i}`))
  await pipeline.client.publishAll(asked, {})
  await waitUntil(() => pipeline.models.calls() === asked.length, 'every slot to be taken')
  const late = makeStep('late', { priority: 'batch', deadlineAtMs: Date.now() + 1_500 })
  expect(await pipeline.client.ask(late)).toMatchObject({ status: 'expired', code: 'SHUNT_DEADLINE_PASSED' })
  expect(pipeline.models.callsOf('late')).toBe(0)
  await pipeline.untilIdle()
})
