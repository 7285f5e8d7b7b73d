/**
 * A process with one Stage, for tests that kill it: `node test/support/stream-worker.ts SETTINGS`, SETTINGS being the
 * JSON of StreamWorkerSettings. It reads the classifier's topics and answers each record in agent.results; what it cannot
 * handle goes to agent.deadletter. A record's value is the JSON of TestJob.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { ShuntError } from '#lib/errors'
import { inNamespace } from '#lib/events/topics'
import { createLogger } from '#lib/telemetry/logger'
import { deadLetters } from '#lib/stream/dead-letter'
import { createKafkaFactory } from '#lib/stream/kafka'
import { createPoisonMemory } from '#lib/stream/poison'
import { createStage } from '#lib/stream/stage'
import { stageSources } from '#lib/stream/stage-groups'
import type { Handle, Reject } from '#lib/stream/types'

export interface TestJob {
  id: string
  /** Time that handling takes, ms. */
  ms: number
  /** The process that handles it ends at once. */
  kills?: boolean
}

export interface StreamWorkerSettings {
  brokers: string[]
  redisUrl: string
  namespace: string
  replica: string
}

const settings = JSON.parse(process.argv[2] ?? '') as StreamWorkerSettings
const { namespace, replica } = settings
const log = createLogger('stream-worker', process.env['SHUNT_LOG_LEVEL'] ?? 'warn')
const redis = new Redis(settings.redisUrl)

const handle: Handle = async (record, signal) => {
  let job: TestJob
  try {
    job = JSON.parse(String(record.value)) as TestJob
  } catch (error) {
    throw new ShuntError('SHUNT_EVENT_UNDECODABLE', 'not JSON', { cause: error })
  }
  if (job.kills) process.kill(process.pid, 'SIGKILL')
  await sleep(job.ms, undefined, { signal })
  const value = Buffer.from(JSON.stringify({ id: job.id, replica }))
  return { records: [{ topic: inNamespace(namespace, 'agent.results'), key: job.id, value }] }
}
const reject: Reject = (record, error) =>
  Promise.resolve({
    records: deadLetters(record, error, { topic: inNamespace(namespace, 'agent.deadletter'), nowMs: Date.now() }),
  })

const stop = new AbortController()
process.once('SIGTERM', () => stop.abort())
const stage = createStage(
  {
    kafka: createKafkaFactory({ log }, { brokers: settings.brokers }),
    poison: createPoisonMemory(redis, { namespace }),
    log,
    nowMs: Date.now,
  },
  { ...stageSources(namespace, 'classifier'), replica, handle, reject, maxInFlight: 64 },
)
// The parent reads when the worker has its lanes, and how many.
const telling = setInterval(() => {
  const { ready, lanes } = stage.status()
  process.stdout.write(`${JSON.stringify({ ready, lanes: lanes.length })}\n`)
}, 100)
await stage.run(stop.signal)
clearInterval(telling)
redis.disconnect()
