import { afterAll, beforeAll, beforeEach, expect, inject, onTestFailed, test, vi } from 'vitest'
import { expectExactlyOnce } from '../support/exactly-once.ts'
import { startPipeline, type Pipeline } from '../support/pipeline.ts'
import { makeStep, makeSteps } from '../support/pipeline-steps.ts'

const crashing = (marker: string) => ({
  NODE_OPTIONS: `--import ${new URL('../support/crash-on-marker.ts', import.meta.url).href}`,
  TEST_CRASH_MARKER: marker,
})

// Real processes on a machine that may be slow: a limit for what hangs, not for what takes time.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 })

let pipeline: Pipeline
let failed = false
beforeAll(async () => {
  pipeline = await startPipeline({
    stack: inject('stack'),
    replicas: { classifier: 2, 'oss-pool': 2 },
    serviceEnv: { classifier: crashing('CRASH-CLASSIFIER'), 'oss-pool': crashing('CRASH-POOL') },
    // As an orchestrator would.
    supervise: true,
  })
})
beforeEach(() => onTestFailed(() => void (failed = true)))
afterAll(() => pipeline?.stopAll({ failed }))

test(
  'I7: a step that kills the process that handles it ends as a dead letter; all others are answered',
  { timeout: 240_000 },
  async () => {
    const good = makeSteps(120, 'beside')
    const deadly = [makeStep('deadly-1', { says: 'CRASH-CLASSIFIER' }), makeStep('deadly-2', { says: 'CRASH-POOL' })]
    const publish = (steps: typeof good) => Promise.all(steps.map((step) => pipeline.client.publish(step)))
    await publish(good.slice(0, 60))
    await publish(deadly)
    await publish(good.slice(60))
    await pipeline.untilIdle(200_000)

    const results = await pipeline.collectResults()
    expectExactlyOnce([...good, ...deadly], results)
    const ends = new Map(results.map(({ stepId, status, code }) => [stepId, `${status} ${code}`]))
    for (const { stepId } of good) expect(ends.get(stepId)).toBe('completed null')
    const letters = await pipeline.collectDeadLetters()
    expect(letters.map(({ code }) => code)).toEqual(['SHUNT_POISON', 'SHUNT_POISON'])
    await pipeline.expectAudit()
    // Two deaths make a lane suspect, three more tell which record it is; some more where a lane moves in between.
    expect(pipeline.deaths()).toBeGreaterThanOrEqual(2 * 5)
    expect(pipeline.deaths()).toBeLessThanOrEqual(2 * 10)
  },
)
