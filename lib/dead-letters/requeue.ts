import { randomUUID } from 'node:crypto'
import { CompressionTypes, type Message, type Producer } from 'kafkajs'
import { asShuntError } from '#lib/client/publisher'
import type { RecordPlace } from '#lib/client/waits'
import { formatOrigin } from '#lib/audit/records'
import type { Codec } from '#lib/events/codec'
import { inNamespace } from '#lib/events/topics'
import { producerConfig, type KafkaFactory } from '#lib/stream/kafka'
import type { DeadLetter } from './dead-letter.ts'
import { requeueOrderName, requeueOrderValue, type RequeuedStep } from './requeue-orders.ts'

/** On a record that comes back: the place of its letter in agent.deadletter. */
const requeuedFromHeader = 'x-shunt-requeued-from'

export interface RequeueDeps {
  kafka: KafkaFactory
  codec: Pick<Codec, 'encode'>
  nowMs: () => number
}

export interface RequeueOptions {
  namespace: string
  /** Who orders it, and why: both are kept in agent.control. */
  actor: string
  reason: string
}

export interface Requeuer extends AsyncDisposable {
  /**
   * Writes the record's bytes, key and headers to `topic`, and the order that says so, in one transaction: neither is
   * there without the other. The order names the `step` that is decided again for it, null where none is. Returns the
   * record's new place. Throws SHUNT_KAFKA_UNAVAILABLE (retryable: ask for the orders again, they tell whether it was done).
   */
  requeue(letter: DeadLetter, topic: string, step: RequeuedStep | null): Promise<RecordPlace>
}

export async function openRequeuer(deps: RequeueDeps, options: RequeueOptions): Promise<Requeuer> {
  const { namespace, actor, reason } = options
  const control = inNamespace(namespace, 'agent.control')
  // A name of its own: two operators at once must not fence each other.
  const transactionalId = inNamespace(namespace, `requeue.${randomUUID()}`)
  const producer = deps.kafka('shunt-requeue').producer(producerConfig(transactionalId))
  try {
    await producer.connect()
  } catch (error) {
    throw asShuntError(error)
  }

  function orderOf(letter: DeadLetter, topic: string, step: RequeuedStep | null): Message {
    const name = requeueOrderName(letter)
    const value = deps.codec.encode('control-order', {
      name,
      orderId: randomUUID(),
      actor,
      reason,
      atMs: deps.nowMs(),
      value: requeueOrderValue(letter, topic, step),
    })
    return { key: name, value }
  }

  return {
    async requeue(letter, topic, step) {
      try {
        return await writeBoth(producer, topic, messageOf(letter), control, orderOf(letter, topic, step))
      } catch (error) {
        throw asShuntError(error)
      }
    },
    async [Symbol.asyncDispose]() {
      await producer.disconnect().catch(() => {})
    },
  }
}

function messageOf({ key, value, headers, place }: DeadLetter): Message {
  return { key, value, headers: { ...headers, [requeuedFromHeader]: formatOrigin(place) } }
}

async function writeBoth(
  producer: Pick<Producer, 'transaction'>,
  topic: string,
  record: Message,
  control: string,
  order: Message,
): Promise<RecordPlace> {
  const transaction = await producer.transaction()
  try {
    // Compressed, since its publisher may have needed that to stay under the topic's limit.
    const [written] = await transaction.send({ topic, messages: [record], compression: CompressionTypes.GZIP })
    await transaction.send({ topic: control, messages: [order] })
    await transaction.commit()
    return { topic, partition: written?.partition ?? -1, offset: Number(written?.baseOffset ?? -1) }
  } catch (error) {
    if (transaction.isActive()) await transaction.abort().catch(() => {})
    throw error
  }
}
