import { setTimeout as sleep } from 'node:timers/promises'
import type { Batch, Consumer, ConsumerConfig, KafkaMessage } from 'kafkajs'
import type { Logger } from '#lib/telemetry/logger'
import { abortable } from './abortable.ts'
import type { FetchedRecords } from './lane.ts'
import type { KafkaFactory } from './kafka.ts'
import type { InboundRecord } from './types.ts'

/** Records of one fetch, and how far the partition goes. */
export interface Fetched extends FetchedRecords {
  topic: string
  partition: number
  /** One past the partition's last offset. */
  highWatermark: number
}

export interface ConsumerEvents {
  /** Before the first fetch after a rebalance, so that what is paused and sought in it holds. Must not wait. */
  joined(assignment: ReadonlyMap<string, readonly number[]>, memberId: string): void
  /** The broker answered a heartbeat: the assignment still stands. */
  heartbeat(): void
  /** Nothing else is fetched while it waits; heartbeats go on. */
  fetched(batch: Fetched): void | Promise<void>
  /** Out of the group until the next `joined`. */
  left(error: unknown): void
}

/**
 * A kafkajs consumer that is always there: built, and built anew after every crash, until it is stopped. It never
 * commits anything.
 */
export interface ConsumerLoop {
  /** Resolves once stopped and out of the group. */
  run(stop: AbortSignal): Promise<void>
  seek(topic: string, partition: number, offset: number): void
  pause(topic: string, partition: number): void
  resume(topic: string, partition: number): void
}

/** kafkajs has it; its types do not. */
interface BatchWithStart extends Batch {
  fetchedOffset: string
}
interface EmptyBatch {
  topic: string
  partition: number
  highWatermark: string
  batchSize: number
  lastOffset: string
  fetchedOffset: string
}

const firstPauseMs = 200
const lastPauseMs = 5_000

export function createConsumerLoop(
  deps: { kafka: KafkaFactory; log: Pick<Logger, 'warn' | 'info' | 'debug'> },
  options: { clientId: string; config: ConsumerConfig; topics: readonly string[]; events: ConsumerEvents },
): ConsumerLoop {
  const { events, topics } = options
  let current: Consumer | null = null

  /** Runs one consumer until it crashes or `stop` fires. Rejects with why it could not go on. */
  async function runOne(stop: AbortSignal): Promise<void> {
    const consumer = deps.kafka(options.clientId).consumer(options.config)
    const crashed = Promise.withResolvers<void>()
    crashed.promise.catch(() => {})
    // A consumer that was replaced may still tell of a join that was under way.
    const ifCurrent =
      <T>(listener: (payload: T) => void) =>
      ({ payload }: { payload: T }) => {
        if (current === consumer) listener(payload)
      }
    consumer.on(
      consumer.events.HEARTBEAT,
      ifCurrent(() => events.heartbeat()),
    )
    consumer.on(
      consumer.events.GROUP_JOIN,
      ifCurrent(({ memberAssignment, memberId }) => events.joined(new Map(Object.entries(memberAssignment)), memberId)),
    )
    // Batches of control or aborted records alone never reach eachBatch.
    consumer.on(
      consumer.events.START_BATCH_PROCESS,
      ifCurrent((payload) => {
        const batch = payload as unknown as EmptyBatch
        if (batch.batchSize === 0) void events.fetched({ ...offsetsOf(batch, batch.lastOffset), records: [] })
      }),
    )
    consumer.on(
      consumer.events.CRASH,
      ifCurrent(({ error }) => crashed.reject(error)),
    )
    current = consumer
    const stopped = new Promise<void>((resolve) => {
      if (stop.aborted) resolve()
      else stop.addEventListener('abort', () => resolve(), { once: true })
    })
    async function start(): Promise<void> {
      await consumer.connect()
      stop.throwIfAborted()
      await consumer.subscribe({ topics: [...topics], fromBeginning: true })
      stop.throwIfAborted()
      await consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        eachBatch: async (payload) => {
          const { batch } = payload
          const records = batch.messages.map((message) => recordOf(batch.topic, batch.partition, message))
          const handled = events.fetched({ ...offsetsOf(batch as BatchWithStart, batch.lastOffset()), records })
          if (handled) await withHeartbeats(handled, payload.heartbeat)
          const last = batch.messages.at(-1)
          if (last) payload.resolveOffset(last.offset)
        },
      })
    }
    const starting = start()
    try {
      await abortable(starting, stop)
      await Promise.race([crashed.promise, stopped])
    } finally {
      await consumer.disconnect().catch(() => {})
      // Stopped while it connected, it may yet have connected after that.
      if (stop.aborted) void starting.catch(() => {}).then(() => consumer.disconnect().catch(() => {}))
      current = null
    }
  }

  return {
    async run(stop) {
      let pauseMs = firstPauseMs
      while (!stop.aborted) {
        const startedAt = performance.now()
        try {
          await runOne(stop)
        } catch (error) {
          if (stop.aborted) return
          events.left(error)
          deps.log.warn({ err: error, topics }, 'consumer stopped; it is started again')
        }
        if (stop.aborted) return
        pauseMs = performance.now() - startedAt > 60_000 ? firstPauseMs : Math.min(pauseMs * 2, lastPauseMs)
        await sleep(pauseMs * (0.5 + Math.random() / 2), undefined, { signal: stop }).catch(() => {})
      }
    },
    seek: (topic, partition, offset) => whileRunning(() => current?.seek({ topic, partition, offset: String(offset) })),
    pause: (topic, partition) => whileRunning(() => current?.pause([{ topic, partitions: [partition] }])),
    resume: (topic, partition) => whileRunning(() => current?.resume([{ topic, partitions: [partition] }])),
  }
}

/** A consumer that crashed or has not joined yet refuses; `joined` comes before its next fetch and applies all anew. */
function whileRunning(act: () => void): void {
  try {
    act()
  } catch (error) {
    if (!(error instanceof Error && error.name === 'KafkaJSNonRetriableError')) throw error
  }
}

const heartbeatMs = 1_000

/** A refused heartbeat is for the next fetch to find out. */
async function withHeartbeats(handled: Promise<void>, heartbeat: () => Promise<void>): Promise<void> {
  const timer = setInterval(() => void heartbeat().catch(() => {}), heartbeatMs)
  try {
    await handled
  } finally {
    clearInterval(timer)
  }
}

function offsetsOf(
  batch: Pick<EmptyBatch, 'topic' | 'partition' | 'highWatermark' | 'fetchedOffset'>,
  lastOffset: string,
): Omit<Fetched, 'records'> {
  return {
    topic: batch.topic,
    partition: batch.partition,
    highWatermark: Number(batch.highWatermark),
    fetchedOffset: Number(batch.fetchedOffset),
    lastOffset: Number(lastOffset),
  }
}

function recordOf(topic: string, partition: number, message: KafkaMessage): InboundRecord {
  const headers: Record<string, Buffer | string | undefined> = {}
  for (const [name, value] of Object.entries(message.headers ?? {}))
    headers[name] = Array.isArray(value) ? value.at(-1) : value
  return {
    topic,
    partition,
    offset: Number(message.offset),
    key: message.key,
    value: message.value,
    headers,
    timestampMs: Number(message.timestamp),
  }
}
