import { randomUUID } from 'node:crypto'
import kafkajs, { type Kafka, type KafkaMessage, type Producer } from 'kafkajs'
import { middleRate, type Progress } from '../figures.ts'

/** A consumer that turns each record into records of a topic, a transaction a batch, and knows nothing else. */
export interface BareLoop {
  topic: string
  outTopic: string
  partitions: number
  /** Records that the topic holds. */
  records: number
  /** Work on each record before the batch's transaction, all at once. @default none */
  work?: (message: KafkaMessage) => Promise<void>
}

/**
 * Records a second of the plainest kafkajs loop that is exactly once: consume a batch, transform, produce and commit the
 * offset in one transaction, a producer a partition. No out-of-order completion, no codec, no decision: the most that
 * this client can do here, and so the peer that the engine is held against.
 */
export async function runBareLoop(kafka: () => Kafka, loop: BareLoop): Promise<number> {
  const groupId = `bare-${randomUUID()}`
  const consumer = kafka().consumer({ groupId, maxWaitTimeInMs: 200, maxBytesPerPartition: 262_144 })
  const producers: Producer[] = []
  for (let partition = 0; partition < loop.partitions; partition++) {
    const producer = kafka().producer({
      transactionalId: `${groupId}.${partition}`,
      idempotent: true,
      maxInFlightRequests: 1,
      retry: { initialRetryTime: 5, retries: 30, maxRetryTime: 2_000 },
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    })
    await producer.connect()
    producers.push(producer)
  }
  const finished = Promise.withResolvers<void>()
  let count = 0
  const seen: Progress[] = []
  await consumer.connect()
  await consumer.subscribe({ topic: loop.topic, fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    partitionsConsumedConcurrently: loop.partitions,
    eachBatch: async ({ batch, resolveOffset }) => {
      if (loop.work) await Promise.all(batch.messages.map(loop.work))
      const last = batch.messages.at(-1)!
      const transaction = await producers[batch.partition]!.transaction()
      await transaction.send({ topic: loop.outTopic, messages: batch.messages.map(copy) })
      await transaction.sendOffsets({
        consumerGroupId: groupId,
        topics: [
          { topic: loop.topic, partitions: [{ partition: batch.partition, offset: String(Number(last.offset) + 1) }] },
        ],
      })
      await transaction.commit()
      resolveOffset(last.offset)
      count += batch.messages.length
      seen.push({ count, atMs: performance.now() })
      if (count >= loop.records) finished.resolve()
    },
  })
  await finished.promise
  await consumer.disconnect()
  await Promise.all(producers.map((producer) => producer.disconnect()))
  return middleRate(seen, loop.records)
}

function copy(message: KafkaMessage) {
  return { key: message.key, value: message.value }
}
