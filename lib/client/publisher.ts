import { CompressionTypes, Partitioners, type Message, type Producer, type RecordMetadata } from 'kafkajs'
import type { Logger } from 'pino'
import { ShuntError } from '#lib/errors'
import { inNamespace, maxStepBytes, type Topic } from '#lib/events/topics'
import { kafkaErrorType } from '#lib/stream/kafka-errors'
import { producerConfig, type KafkaFactory } from '#lib/stream/kafka'
import type { RecordPlace } from './waits.ts'

export interface PublisherDeps {
  kafka: KafkaFactory
  log: Pick<Logger, 'warn'>
}

export interface PublisherOptions {
  namespace: string
  /** Bytes of one request; a larger record travels alone. @default 500_000 */
  maxBatchBytes?: number
  /** Records of one request. @default 500 */
  maxBatchRecords?: number
  /** Bytes waiting for their acknowledgement; above it `publish` waits for room. @default 8 Mi */
  maxBufferedBytes?: number
}

export const publisherDefaults = {
  maxBatchBytes: 500_000,
  maxBatchRecords: 500,
  maxBufferedBytes: 8 * 1024 * 1024,
} satisfies Omit<Required<PublisherOptions>, 'namespace'>

export interface PublishOptions {
  /** Gives up waiting. What is under way may still arrive: publish a step again, its stepId makes that safe. */
  signal?: AbortSignal
  /** Such as `traceparent`. */
  headers?: Record<string, string>
}

/** What a publisher writes. */
export interface Publishable {
  topic: Topic
  key: string
  value: Buffer
  /** Names it in a message, such as `step s-1`. */
  what: string
}

/** From here on a batch is compressed, so that its framing does not push it over the topic's limit. */
const compressFromBytes = 900_000
const recordOverheadBytes = 100

interface Pending {
  topic: string
  message: Message
  bytes: number
  resolve: (place: RecordPlace) => void
  reject: (error: unknown) => void
}

/**
 * Writes records through one idempotent producer, one request at a time: what arrives while a request is under way makes
 * up the next one, so a lone step leaves at once and a flood leaves in full batches.
 *
 * A failed request replaces the producer. Its sequence number may have been used up at the broker, which would then
 * take the next batch for a repetition and drop it.
 */
export function createPublisher(deps: PublisherDeps, options: PublisherOptions) {
  const { namespace, maxBatchBytes, maxBatchRecords, maxBufferedBytes } = { ...publisherDefaults, ...options }
  const queue: Pending[] = []
  let roomWaiters: (() => void)[] = []
  let bufferedBytes = 0
  let producer: Promise<Producer> | undefined
  let sending: Promise<void> | undefined
  let closed = false
  const partitionOf = new WeakMap<Message, number>()

  /** As producerConfig's, and it tells which partition a message got: offsets of single records follow from that. */
  const createPartitioner = () => {
    const choose = Partitioners.DefaultPartitioner()
    return (args: Parameters<typeof choose>[0]): number => {
      const partition = partitionOf.get(args.message) ?? choose(args)
      partitionOf.set(args.message, partition)
      return partition
    }
  }

  function connected(): Promise<Producer> {
    producer ??= (async () => {
      const created = deps.kafka('shunt-publisher').producer({ ...producerConfig(), createPartitioner })
      await created.connect()
      return created
    })()
    return producer
  }

  async function discardProducer(): Promise<void> {
    const discarded = producer
    producer = undefined
    await discarded?.then((old) => old.disconnect()).catch(() => {})
  }

  function nextBatch(): Pending[] {
    let bytes = 0
    let count = 0
    while (count < queue.length && count < maxBatchRecords) {
      bytes += queue[count]!.bytes
      if (count > 0 && bytes > maxBatchBytes) break
      count += 1
    }
    return queue.splice(0, count)
  }

  async function send(batch: Pending[]): Promise<void> {
    const byTopic = Map.groupBy(batch, (pending) => pending.topic)
    const bytes = batch.reduce((sum, pending) => sum + pending.bytes, 0)
    try {
      const open = await connected()
      const written = await open.sendBatch({
        acks: -1,
        ...(bytes >= compressFromBytes && { compression: CompressionTypes.GZIP }),
        topicMessages: [...byTopic].map(([topic, items]) => ({ topic, messages: items.map((item) => item.message) })),
      })
      for (const [topic, items] of byTopic) acknowledge(topic, items, written)
    } catch (error) {
      await discardProducer()
      const failure = asShuntError(error)
      deps.log.warn({ err: failure, records: batch.length }, 'records were not acknowledged')
      for (const pending of batch) pending.reject(failure)
    } finally {
      bufferedBytes -= bytes
      const waiters = roomWaiters
      roomWaiters = []
      for (const wake of waiters) wake()
    }
  }

  /** Records of one partition lie one after another in the order of the request. */
  function acknowledge(topic: string, items: Pending[], written: RecordMetadata[]): void {
    for (const [partition, group] of Map.groupBy(items, (item) => partitionOf.get(item.message)!)) {
      const metadata = written.find((one) => one.topicName === topic && one.partition === partition)
      const baseOffset = Number(metadata?.baseOffset ?? -1)
      for (const [i, item] of group.entries())
        item.resolve({ topic, partition, offset: baseOffset < 0 ? -1 : baseOffset + i })
    }
  }

  function pump(): void {
    sending ??= (async () => {
      while (queue.length > 0) await send(nextBatch())
    })().finally(() => {
      sending = undefined
      if (queue.length > 0) pump()
    })
  }

  const isFull = (): boolean => bufferedBytes >= maxBufferedBytes

  async function room(signal: AbortSignal | undefined): Promise<void> {
    while (isFull()) {
      const { promise, resolve } = Promise.withResolvers<void>()
      roomWaiters.push(resolve)
      const wake = (): void => resolve()
      signal?.addEventListener('abort', wake, { once: true })
      await promise
      signal?.removeEventListener('abort', wake)
      signal?.throwIfAborted()
    }
  }

  return {
    /** Waits for room, then puts the record in the queue. `acknowledged` settles later and must be looked after. */
    async enqueue(record: Publishable, options: PublishOptions = {}): Promise<{ acknowledged: Promise<RecordPlace> }> {
      const { topic, key, value, what } = record
      const { signal, headers } = options
      if (value.length > maxStepBytes)
        throw new ShuntError(
          'SHUNT_EVENT_TOO_LARGE',
          `${what} has ${value.length} bytes, the limit is ${maxStepBytes}: shorten it`,
        )
      signal?.throwIfAborted()
      await room(signal)
      if (closed) throw new ShuntError('SHUNT_KAFKA_UNAVAILABLE', 'the client is closed')
      const { promise, resolve, reject } = Promise.withResolvers<RecordPlace>()
      const message: Message = { key, value, ...(headers && { headers }) }
      const bytes = value.length + key.length + recordOverheadBytes
      const pending: Pending = { topic: inNamespace(namespace, topic), message, bytes, resolve, reject }
      bufferedBytes += bytes
      queue.push(pending)
      const aborted = (): void => {
        const at = queue.indexOf(pending)
        if (at >= 0) {
          queue.splice(at, 1)
          bufferedBytes -= bytes
        }
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', aborted, { once: true })
      pump()
      return { acknowledged: promise.finally(() => signal?.removeEventListener('abort', aborted)) }
    },

    /** Connects ahead of the first record. Throws SHUNT_KAFKA_UNAVAILABLE. */
    async connect(): Promise<void> {
      try {
        await connected()
      } catch (error) {
        await discardProducer()
        throw asShuntError(error)
      }
    },

    /** Sends what is queued, then disconnects. */
    async close(): Promise<void> {
      closed = true
      for (let open = sending; open; open = sending) await open
      await discardProducer()
    },
  }
}

/** kafkajs's error as one of ours, with what to do. */
export function asShuntError(error: unknown): ShuntError {
  if (error instanceof ShuntError) return error
  const type = kafkaErrorType(error)
  const message = error instanceof Error ? error.message : String(error)
  if (type === 'MESSAGE_TOO_LARGE' || type === 'RECORD_LIST_TOO_LARGE')
    return new ShuntError('SHUNT_EVENT_TOO_LARGE', `the broker refuses a record: ${message}`, { cause: error })
  if (type === 'UNKNOWN_TOPIC_OR_PARTITION')
    return new ShuntError('SHUNT_TOPICS_NOT_APPLIED', 'topics are missing: run `shunt topics apply`', { cause: error })
  return new ShuntError(
    'SHUNT_KAFKA_UNAVAILABLE',
    `Kafka: ${message}. Check KAFKA_BROKERS, and run \`shunt up\` where the local stack should answer`,
    { retryable: true, cause: error },
  )
}
