import { setTimeout as sleep } from 'node:timers/promises'
import { expect, inject, onTestFinished, test } from 'vitest'
import { startPipeline } from '../support/pipeline.ts'
import { makeStep } from '../support/pipeline-steps.ts'
import { waitUntil } from '../support/wait-until.ts'

/** A tenth of a minute, with limits to match; the guard time is shorter than its share, since the machine is near. */
const windowMs = 6_000
const limits = { windowMs, guardMs: 400, tokensPerMinute: 30_000, requestsPerMinute: 4_000 }

test('I5: two replicas, a crash and a stop: no limit is exceeded at any moment, as the provider counts', async () => {
  const pipeline = await startPipeline({
    stack: inject('stack'),
    partitions: 2,
    replicas: { frontier: 2 },
    frontier: {
      latencyMs: 500,
      latencySigma: 0.5,
      jitterMs: 150,
      serverErrorPpm: 20_000,
      cutOffPpm: 10_000,
      malformedPpm: 10_000,
      answerSharePpm: 250_000,
      account: { windowMs, tokens: 3_000, requests: 400 },
    },
    providerLimits: limits,
  })
  onTestFinished(({ task }) => pipeline.stopAll({ failed: task.result?.state === 'fail' }))
  const { account, arrivals } = pipeline.models.frontier
  const steps = Array.from({ length: 420 }, (_, i) =>
    makeStep(`limited${i}`, {
      kind: 'reasoning',
      priority: i % 2 === 0 ? 'batch' : 'interactive',
      request: { messages: [{ role: 'user', content: `step limited${i} ` }], max_tokens: 64 },
    }),
  )
  await Promise.all(steps.map((step) => pipeline.client.publish(step)))

  await waitUntil(() => arrivals.length > 0, 'the first call, after a window of none')
  const from = Date.now() + windowMs
  await sleep(2.5 * windowMs)
  const usage = account.usage(from, Date.now())
  await pipeline.kill9('frontier', 0)
  await pipeline.restart('frontier', 0)
  // Most of what it holds waits for the limits: it is put back for the other.
  await pipeline.drain('frontier', 1)
  await pipeline.untilResults(steps.length, 120_000)
  await pipeline.untilIdle()

  const report = account.report()
  const percent = (share: number) => `${(share * 100).toFixed(1)} %`
  console.log(
    `I5: ${report.violations} violations in ${arrivals.length} calls; of the binding limit ${percent(usage.mean)} used ` +
      `(${percent(usage.least)} to ${percent(usage.most)}); the guard time bounds it to ` +
      percent(windowMs / (windowMs + limits.guardMs)),
  )
  expect(report.violations).toBe(0)
  expect(report.peakShare).toBeLessThanOrEqual(1)
  expect(usage.mean).toBeGreaterThan(0.7)
  const results = await pipeline.collectResults()
  expect(new Set(results.map(({ status }) => status))).toEqual(new Set(['completed']))
})
