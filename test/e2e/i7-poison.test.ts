import { afterAll, beforeAll, beforeEach, expect, inject, onTestFailed, test, vi } from 'vitest'
import { modelQueueDefaults } from '../../services/frontier/model-queue.ts'
import { expectExactlyOnce } from '../support/exactly-once.ts'
import { startPipeline, type Pipeline } from '../support/pipeline.ts'
import { makeStep, makeSteps } from '../support/pipeline-steps.ts'

const crashing = (marker: string, at: 'request' | 'answer' = 'request') => ({
  NODE_OPTIONS: `--import ${new URL('../support/crash-on-marker.ts', import.meta.url).href}`,
  TEST_CRASH_MARKER: marker,
  TEST_CRASH_AT: at,
})

// Real processes on a machine that may be slow: a limit for what hangs, not for what takes time.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 })

let pipeline: Pipeline
let failed = false
beforeAll(async () => {
  pipeline = await startPipeline({
    stack: inject('stack'),
    replicas: { classifier: 2, 'oss-pool': 2, frontier: 2 },
    serviceEnv: {
      classifier: crashing('CRASH-CLASSIFIER'),
      'oss-pool': crashing('CRASH-POOL'),
      frontier: crashing('CRASH-FRONTIER', 'answer'),
    },
    frontier: {
      reply: ({ messages }) => ({
        content: JSON.stringify(messages).includes('deadly-call') ? 'CRASH-FRONTIER' : 'a frontier answer',
      }),
    },
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
    // Its call runs in any replica, whoever has its lane: no lane's marks tell of it, but its calls are counted.
    const deadlyCall = makeStep('deadly-call', { kind: 'reasoning' })
    const publish = (steps: typeof good) => Promise.all(steps.map((step) => pipeline.client.publish(step)))
    await publish(good.slice(0, 60))
    await publish([...deadly, deadlyCall])
    await publish(good.slice(60))
    await pipeline.untilIdle(200_000)

    const results = await pipeline.collectResults()
    expectExactlyOnce([...good, ...deadly, deadlyCall], results)
    const ends = new Map(results.map(({ stepId, status, code }) => [stepId, `${status} ${code}`]))
    for (const { stepId } of good) expect(ends.get(stepId)).toBe('completed null')
    const rescued = results.find(({ stepId }) => stepId === 'deadly-call')
    expect(rescued).toMatchObject({ status: 'completed', tier: 'oss', attempts: [{ outcomeUnknown: true }, {}] })
    expect(pipeline.models.callsOf('deadly-call')).toBe(modelQueueDefaults.maxCalls + 1)
    const letters = await pipeline.collectDeadLetters()
    expect(letters.map(({ code }) => code)).toEqual(['SHUNT_POISON', 'SHUNT_POISON'])
    await pipeline.expectAudit()
    // Two deaths make a lane suspect, three more tell which record it is; some more where a lane moves in between.
    const ofTheCall = modelQueueDefaults.maxCalls
    expect(pipeline.deaths()).toBeGreaterThanOrEqual(2 * 5 + ofTheCall)
    expect(pipeline.deaths()).toBeLessThanOrEqual(2 * 10 + ofTheCall)
  },
)
