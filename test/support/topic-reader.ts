import { randomUUID } from 'node:crypto'
import { Kafka, KafkaJSProtocolError, logLevel, type Consumer } from 'kafkajs'
import { waitUntil } from './wait-until.ts'

/** A record as a committed reader sees it. */
export interface ReadRecord {
  topic: string
  partition: number
  offset: number
  key: string
  value: Buffer | null
  headers: Record<string, string>
}

export interface TopicReader {
  /** All that were read so far, in the order of partition and offset; a record that was read again counts once. */
  records(topic: string): ReadRecord[]
  /** Number of records read so far. */
  count(topic: string): number
  /** Resolves when everything has been read that was written before the call; an open transaction is waited for. */
  caughtUp(): Promise<void>
  stop(): Promise<void>
}

/**
 * Reads whole topics, committed records only, as a stranger would: plain kafkajs, nothing of lib/. Goes on over a broker
 * that comes back.
 */
export async function startTopicReader(options: {
  brokers: readonly string[]
  topics: readonly string[]
}): Promise<TopicReader> {
  const groupId = `test-reader-${randomUUID()}`
  const newKafka = () =>
    new Kafka({
      clientId: groupId,
      brokers: [...options.brokers],
      logLevel: logLevel.NOTHING,
      requestTimeout: 10_000,
      retry: { initialRetryTime: 50, maxRetryTime: 1_000, retries: 60 },
    })
  const found = new Map(options.topics.map((topic) => [topic, new Map<string, ReadRecord>()]))
  const positions = new Map<string, number>()
  const admin = newKafka().admin()
  await admin.connect()
  let consumer: Consumer | undefined
  let stopped = false
  let restarting: Promise<void> = Promise.resolve()

  function reached(topic: string, partition: number, next: number): void {
    const place = `${topic}/${partition}`
    positions.set(place, Math.max(positions.get(place) ?? 0, next))
  }

  async function start(): Promise<void> {
    const started = newKafka().consumer({
      groupId,
      sessionTimeout: 6_000,
      rebalanceTimeout: 2_000,
      heartbeatInterval: 500,
      maxWaitTimeInMs: 100,
      metadataMaxAge: 2_000,
      retry: { retries: 60, initialRetryTime: 50, maxRetryTime: 1_000, restartOnFailure: () => Promise.resolve(false) },
    })
    consumer = started
    started.on(started.events.CRASH, () => {
      if (stopped || consumer !== started) return
      restarting = started
        .disconnect()
        .catch(() => {})
        .then(() => start())
    })
    // Batches of control or aborted records alone are told by this event only.
    started.on(started.events.START_BATCH_PROCESS, ({ payload }) => {
      if (payload.batchSize === 0) reached(payload.topic, payload.partition, Number(payload.lastOffset) + 1)
    })
    await started.connect()
    await started.subscribe({ topics: [...options.topics], fromBeginning: true })
    await started.run({
      autoCommit: false,
      eachBatch: ({ batch }) => {
        const { topic, partition } = batch
        for (const message of batch.messages)
          found.get(topic)?.set(`${partition}/${message.offset}`, {
            topic,
            partition,
            offset: Number(message.offset),
            key: message.key?.toString() ?? '',
            value: message.value,
            headers: Object.fromEntries(Object.entries(message.headers ?? {}).map(([k, v]) => [k, String(v)])),
          })
        reached(topic, partition, Number(batch.lastOffset()) + 1)
        return Promise.resolve()
      },
    })
  }
  await start()

  return {
    records: (topic) =>
      [...(found.get(topic)?.values() ?? [])].toSorted((a, b) => a.partition - b.partition || a.offset - b.offset),
    count: (topic) => found.get(topic)?.size ?? 0,
    async caughtUp() {
      const ends = new Map<string, number>()
      // A broker that has just come back may not lead its partitions yet, and kafkajs's admin does not ask again.
      const readEnds = async (): Promise<boolean> => {
        try {
          for (const topic of options.topics)
            for (const { partition, high } of await admin.fetchTopicOffsets(topic))
              ends.set(`${topic}/${partition}`, Number(high))
          return true
        } catch (error) {
          if (!(error instanceof KafkaJSProtocolError) || !error.retriable) throw error
          await admin.fetchTopicMetadata({ topics: [...options.topics] })
          return false
        }
      }
      await waitUntil(readEnds, 'the ends of the topics')
      const behind = () => [...ends].filter(([place, end]) => (positions.get(place) ?? 0) < end)
      await waitUntil(
        () => behind().length === 0,
        () => `to read up to ${behind().map(String).join('; ')}`,
        60_000,
      )
    },
    async stop() {
      stopped = true
      await restarting
      await consumer?.disconnect().catch(() => {})
      await admin.deleteGroups([groupId]).catch(() => {})
      await admin.disconnect()
    },
  }
}
