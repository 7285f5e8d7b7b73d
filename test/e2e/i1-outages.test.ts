import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, expect, onTestFailed, test, vi } from 'vitest'
import { startGuardian } from '../../cli/stack/guardian.ts'
import { startKafka } from '../../cli/stack/kafka.ts'
import type { Part } from '../../cli/stack/part.ts'
import { startRedis } from '../../cli/stack/redis.ts'
import { startRegistry } from '../../cli/stack/registry.ts'
import { createRunDirectory, removeRunDirectory } from '../../cli/stack/run-directory.ts'
import { expectExactlyOnce } from '../support/exactly-once.ts'
import { startPipeline, type Pipeline } from '../support/pipeline.ts'
import { makeSteps, publishSteadily } from '../support/pipeline-steps.ts'

const starters = { kafka: startKafka, registry: startRegistry, redis: startRedis }
type Name = keyof typeof starters

let dir: string
// Real processes on a machine that may be slow: a limit for what hangs, not for what takes time.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 })

let pipeline: Pipeline
const parts = {} as Record<Name, Part>
let failed = false

beforeAll(async () => {
  dir = await createRunDirectory('test')
  startGuardian(dir)
  const [kafka, registry, redis] = await Promise.all([startKafka({ dir }), startRegistry({ dir }), startRedis({ dir })])
  Object.assign(parts, { kafka, registry, redis })
  const { brokers } = kafka
  const { registryUrl } = registry
  const { redisUrl } = redis
  const replicas = { classifier: 2, 'oss-pool': 2, frontier: 1 }
  pipeline = await startPipeline({ stack: { brokers, registryUrl, redisUrl }, replicas })
})
beforeEach(() => onTestFailed(() => void (failed = true)))
afterAll(async () => {
  try {
    await pipeline?.stopAll({ failed })
  } finally {
    await removeRunDirectory(dir)
  }
})

/** kill -9, some time without it, then the same on the same data and port. */
async function outage(name: Name, downMs: number, meanwhile?: () => Promise<void>): Promise<void> {
  const { port } = new URL(name === 'kafka' ? `kafka://${parts.kafka.address}` : parts[name].address)
  await parts[name].kill9()
  await Promise.all([sleep(downMs), meanwhile?.()])
  parts[name] = await starters[name]({ dir, port: Number(port) })
}

async function underLoad(prefix: string, disturb: () => Promise<void>): Promise<void> {
  const steps = makeSteps(250, prefix)
  const earlier = (await pipeline.collectResults()).length
  const publishing = publishSteadily(pipeline.client, steps, 25)
  await pipeline.untilResults(earlier + 20)
  await disturb()
  await publishing
  await pipeline.untilIdle(90_000)

  const results = (await pipeline.collectResults()).filter(({ stepId }) => stepId.startsWith(`${prefix}-`))
  expectExactlyOnce(steps, results)
  expect(new Set(results.map(({ status }) => status))).toEqual(new Set(['completed']))
  await pipeline.expectAudit()
}

test('I1: a broker that is killed and comes back leaves one result a step', async () => {
  await underLoad('broker', () => outage('kafka', 3_000))
  expect(pipeline.deaths()).toBe(0)
})

test('I1: a Redis that is killed and comes back leaves one result a step', async () => {
  await underLoad('redis', () => outage('redis', 3_000))
  expect(pipeline.deaths()).toBe(0)
})

test('I1: a registry that is killed and comes back leaves one result a step; a service that starts meanwhile waits', async () => {
  let restarted: Promise<void> | undefined
  await underLoad('registry', () =>
    outage('registry', 3_000, async () => {
      await pipeline.kill9('classifier', 0)
      restarted = pipeline.restart('classifier', 0)
    }),
  )
  await restarted
  expect(await pipeline.notReady('classifier', 0)).toBe('')
  expect(pipeline.deaths()).toBe(0)
})
