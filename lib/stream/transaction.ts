import { setTimeout as sleep } from 'node:timers/promises'
import { CompressionTypes } from 'kafkajs'
import type { Message, Producer, ProducerBatch, TopicMessages } from 'kafkajs'
import { kafkaErrorType } from './kafka-errors.ts'
import type { OutboundRecord } from './types.ts'

/**
 * Largest request of records, bytes. A record batch above the topic's max.message.bytes is refused for good, and one
 * request becomes one batch a partition: chunks of this size fit every topic, whose least limit is 1 MiB.
 */
const chunkBytes = 500_000
/** Of a record's frame and its headers' lengths. */
const frameBytes = 64

export interface LaneCommit {
  group: string
  topic: string
  partition: number
  /** Offset to be committed. */
  offset: number
  metadata: string
}

/**
 * Writes records and offset in one transaction; all bytes are ready before it begins. Throws what kafkajs throws: then
 * the outcome is unknown and the producer is unusable.
 */
export async function commitTransaction(
  producer: Pick<Producer, 'transaction'>,
  records: readonly OutboundRecord[],
  commit: LaneCommit,
): Promise<void> {
  const batches = [...chunkRecords(records)]
  const transaction = await producer.transaction()
  const partitions = [{ partition: commit.partition, offset: String(commit.offset), metadata: commit.metadata }]
  const offsets = { consumerGroupId: commit.group, topics: [{ topic: commit.topic, partitions }] }
  // Before the records, since from the first of them on the transaction holds back every reader of committed records.
  // Adding offsets then collides with the end of the transaction before, and kafkajs does not retry that.
  for (let tries = 1; ; tries++) {
    try {
      await transaction.sendOffsets(offsets)
      break
    } catch (error) {
      if (kafkaErrorType(error) !== 'CONCURRENT_TRANSACTIONS' || tries >= 200) throw error
      await sleep(5)
    }
  }
  for (const batch of batches) await transaction.sendBatch(batch)
  await transaction.commit()
}

/** Requests of at most `chunkBytes`, larger only for a single record; compressed records in requests of their own. */
export function* chunkRecords(records: readonly OutboundRecord[]): Generator<ProducerBatch> {
  for (const compress of [false, true]) {
    let topics = new Map<string, Message[]>()
    let bytes = 0
    const batch = (): ProducerBatch => {
      const topicMessages: TopicMessages[] = [...topics].map(([topic, messages]) => ({ topic, messages }))
      return compress ? { topicMessages, compression: CompressionTypes.GZIP } : { topicMessages }
    }
    for (const record of records) {
      if ((record.compress ?? false) !== compress) continue
      const size = recordBytes(record)
      if (bytes > 0 && bytes + size > chunkBytes) {
        yield batch()
        topics = new Map()
        bytes = 0
      }
      const message: Message = { key: record.key, value: record.value }
      if (record.headers) message.headers = record.headers
      const messages = topics.get(record.topic)
      if (messages) messages.push(message)
      else topics.set(record.topic, [message])
      bytes += size
    }
    if (bytes > 0) yield batch()
  }
}

/** About what the record takes in a request, and in memory. */
export function recordBytes(record: OutboundRecord): number {
  return frameBytes + record.key.length + (record.value?.length ?? 0) + headerBytes(record.headers)
}

export function headerBytes(headers: Readonly<Record<string, string | Buffer | undefined>> | undefined): number {
  let bytes = 0
  for (const name in headers) bytes += name.length + (headers[name]?.length ?? 0)
  return bytes
}
