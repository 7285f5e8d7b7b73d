import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, expect, onTestFailed, test, vi } from 'vitest'
import { completeStep, type StepInput } from '#lib/client/step-input'
import { avroTypeOf } from '#lib/events/avro-type'
import { createRegistry } from '#lib/events/registry'
import { bundledSchema } from '#lib/events/schemas'
import { startGuardian } from '../../cli/stack/guardian.ts'
import { startKafka } from '../../cli/stack/kafka.ts'
import type { Part } from '../../cli/stack/part.ts'
import { startRedis } from '../../cli/stack/redis.ts'
import { startRegistry } from '../../cli/stack/registry.ts'
import { createRunDirectory, removeRunDirectory } from '../../cli/stack/run-directory.ts'
import { startBadLoad } from '../support/bad-load.ts'
import { expectExactlyOnce } from '../support/exactly-once.ts'
import { startPipeline, type Pipeline } from '../support/pipeline.ts'
import { makeStep, makeSteps, publishSteadily } from '../support/pipeline-steps.ts'

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

/** The step under a schema that no service has seen, so that the registry has to be asked for it. */
async function encodeAsNewerRelease(step: StepInput): Promise<Buffer> {
  const ours = bundledSchema('step') as { fields: object[] }
  const schema = { ...ours, fields: [...ours.fields, { name: 'urgency', type: 'int', default: 0 }] }
  const registry = createRegistry(parts.registry.address)
  const id = await registry.register(`${pipeline.topic('agent.steps')}-value`, JSON.stringify(schema))
  const header = Buffer.alloc(5)
  header.writeUInt32BE(id, 1)
  return Buffer.concat([header, avroTypeOf(schema).toBuffer({ ...completeStep(step), urgency: 7 })])
}

/** `more` are steps that `disturb` publishes itself. */
async function underLoad(prefix: string, disturb: () => Promise<void>, more: StepInput[] = []): Promise<void> {
  const steps = makeSteps(250, prefix)
  const earlier = (await pipeline.collectResults()).length
  const publishing = publishSteadily(pipeline.client, steps, 25)
  const bad = await startBadLoad(pipeline, prefix, 24)
  await pipeline.untilResults(earlier + 20)
  await disturb()
  await Promise.all([publishing, bad.published])
  await pipeline.untilIdle(90_000)

  const results = (await bad.expectDeadLetters()).filter(({ stepId }) => stepId.startsWith(`${prefix}-`))
  expectExactlyOnce([...steps, ...more], results)
  expect(new Set(results.map(({ status }) => status))).toEqual(new Set(['completed']))
  await pipeline.expectAudit()
}

test('I1, I7: a broker that is killed and comes back leaves one result a step and loses no bad record', async () => {
  await underLoad('broker', () => outage('kafka', 3_000))
  expect(pipeline.deaths()).toBe(0)
})

test('I1, I7: a Redis that is killed and comes back leaves one result a step and loses no bad record', async () => {
  await underLoad('redis', () => outage('redis', 3_000))
  expect(pipeline.deaths()).toBe(0)
})

test('I1, I7: a registry that is killed and comes back leaves one result a step and loses no bad record; a service that starts meanwhile waits', async () => {
  let restarted: Promise<void> | undefined
  const newer = makeStep('registry-newer')
  const bytes = await encodeAsNewerRelease(newer)
  await underLoad(
    'registry',
    () =>
      outage('registry', 3_000, async () => {
        const producer = pipeline.kafka.producer()
        await producer.connect()
        await producer.send({ topic: pipeline.topic('agent.steps'), messages: [{ key: newer.taskId, value: bytes }] })
        await producer.disconnect()
        await pipeline.kill9('classifier', 0)
        restarted = pipeline.restart('classifier', 0)
      }),
    [newer],
  )
  await restarted
  expect(await pipeline.notReady('classifier', 0)).toBe('')
  expect(pipeline.deaths()).toBe(0)
})
