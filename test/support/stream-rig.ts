import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import type { Producer } from 'kafkajs'
import { inNamespace, type Topic } from '#lib/events/topics'
import { applyTopics, type AppliedTopics } from '#lib/stream/apply-topics'
import { createKafkaFactory, producerConfig, type KafkaFactory } from '#lib/stream/kafka'
import { createPoisonMemory } from '#lib/stream/poison'
import { decodeProgress } from '#lib/stream/progress-codec'
import { createStage, type Stage, type StageOptions } from '#lib/stream/stage'
import { stageGroups, stageSources, type StageGroup } from '#lib/stream/stage-groups'
import type { Journal } from '#lib/stream/types'
import { createLogger } from '#lib/telemetry/logger'
import { startTopicReader, type TopicReader } from './topic-reader.ts'
import type { StreamWorkerSettings, TestJob } from './stream-worker.ts'
import { waitUntil } from './wait-until.ts'

/** One namespace on the shared stack, for tests of the engine alone: values are JSON, the registry is not needed. */
export interface StreamRig {
  namespace: string
  kafka: KafkaFactory
  redis: Redis
  topic(name: Topic): string
  apply(partitions?: number): Promise<AppliedTopics>
  publish(topic: Topic, records: readonly { key: string; value: Buffer | string }[]): Promise<void>
  /** Jobs under keys that spread over the partitions. */
  publishJobs(jobs: readonly TestJob[]): Promise<void>
  /** A stage in this process, running until the test stops it or ends. */
  startStage(
    group: StageGroup,
    options: Pick<StageOptions, 'handle'> & Partial<StageOptions>,
    journal?: Journal,
  ): RunningStage
  /** A stage in a process of its own (stream-worker.ts). */
  startWorker(replica: string): StreamWorker
  read(...topics: Topic[]): Promise<TopicReader>
  /** Resolves when every lane of the group has committed everything that is in its log. */
  allDone(group: StageGroup, timeoutMs?: number): Promise<void>
  end(): Promise<void>
}

export interface RunningStage {
  stage: Stage
  stop(): Promise<void>
}

export interface StreamWorker {
  process: ChildProcess
  replica: string
  /** Lanes that it has; 0 until all of them are open. */
  lanes(): number
  exited: Promise<void>
}

export function createStreamRig(stack: { brokers: string[]; redisUrl: string }): StreamRig {
  const namespace = `rig-${randomBytes(5).toString('hex')}`
  const log = createLogger('test', process.env['SHUNT_LOG_LEVEL'] ?? 'silent')
  const kafka = createKafkaFactory({ log }, { brokers: stack.brokers })
  const redis = new Redis(stack.redisUrl)
  const undo: (() => Promise<unknown>)[] = []
  const topic = (name: Topic) => inNamespace(namespace, name)
  let producing: Promise<Producer> | null = null

  async function connectProducer(): Promise<Producer> {
    const producer = kafka('rig').producer(producerConfig())
    await producer.connect()
    undo.push(() => producer.disconnect())
    return producer
  }

  const rig: StreamRig = {
    namespace,
    kafka,
    redis,
    topic,
    apply: (partitions = 4) =>
      applyTopics(
        { kafka, log, nowMs: Date.now, encodeOrder: (order) => Buffer.from(JSON.stringify(order)) },
        { namespace, partitions, actor: 'test' },
      ),
    async publish(name, records) {
      producing ??= connectProducer()
      const producer = await producing
      for (let at = 0; at < records.length; at += 500)
        await producer.send({ topic: topic(name), messages: records.slice(at, at + 500) })
    },
    publishJobs: (jobs) =>
      rig.publish(
        'agent.steps',
        jobs.map((job) => ({ key: job.id, value: JSON.stringify(job) })),
      ),
    startStage(group, options, journal) {
      const stop = new AbortController()
      const stage = createStage(
        {
          kafka,
          poison: createPoisonMemory(redis, { namespace }),
          log,
          nowMs: Date.now,
          ...(journal ? { journal } : {}),
        },
        { ...stageSources(namespace, group), replica: 'a', reject: () => Promise.resolve({ records: [] }), ...options },
      )
      const running = stage.run(stop.signal)
      const running_: RunningStage = {
        stage,
        stop() {
          stop.abort()
          return running
        },
      }
      undo.push(() => running_.stop())
      return running_
    },
    startWorker(replica) {
      const settings: StreamWorkerSettings = { ...stack, namespace, replica }
      const script = fileURLToPath(new URL('stream-worker.ts', import.meta.url))
      const child = spawn(process.execPath, [script, JSON.stringify(settings)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      let lanes = 0
      child.stdout.on('data', (chunk: Buffer) => {
        const status = chunk.toString().trim().split('\n').at(-1)
        if (!status?.startsWith('{"ready')) return
        const told = JSON.parse(status) as { ready: boolean; lanes: number }
        lanes = told.ready ? told.lanes : 0
      })
      const exited = new Promise<void>((resolve) => void child.once('exit', () => resolve()))
      undo.push(async () => {
        child.kill('SIGKILL')
        await exited
      })
      return { process: child, replica, lanes: () => lanes, exited }
    },
    async read(...topics) {
      const reader = await startTopicReader({ brokers: stack.brokers, topics: topics.map(topic) })
      undo.push(() => reader.stop())
      return reader
    },
    async allDone(group, timeoutMs = 60_000) {
      const admin = kafka('rig').admin()
      await admin.connect()
      let behind: string[] = []
      try {
        await waitUntil(
          async () => {
            // A broker that has just come back refuses for a moment.
            behind = await unfinishedLanes(admin, inNamespace(namespace, group), stageGroups[group].map(topic)).catch(
              (error: unknown) => [String(error)],
            )
            return behind.length === 0
          },
          () => `${group} to finish ${behind.join(', ')}`,
          timeoutMs,
        )
      } finally {
        await admin.disconnect()
      }
    },
    async end() {
      for (const act of undo.toReversed()) await act()
      redis.disconnect()
    },
  }
  return rig
}

/** Lanes with records that are not committed as done. Control records at the end of a log do not count. */
async function unfinishedLanes(
  admin: ReturnType<ReturnType<KafkaFactory>['admin']>,
  group: string,
  topics: readonly string[],
): Promise<string[]> {
  const behind: string[] = []
  for (const { topic, partitions } of await admin.fetchOffsets({ groupId: group, topics: [...topics] })) {
    const ends = await admin.fetchTopicOffsets(topic)
    for (const { partition, offset, metadata } of partitions) {
      const end = Number(ends.find((at) => at.partition === partition)?.high)
      const { low, upTo } = decodeProgress(Number(offset), metadata)
      if (low < end || upTo > low) behind.push(`${topic}/${partition}: ${low} of ${end}`)
    }
  }
  return behind
}
