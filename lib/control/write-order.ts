import { randomUUID } from 'node:crypto'
import { ShuntError } from '#lib/errors'
import type { Codec } from '#lib/events/codec'
import { inNamespace } from '#lib/events/topics'
import type { ControlOrder } from '#lib/events/types.generated'
import { producerConfig, type KafkaFactory } from '#lib/stream/kafka'

export interface WriteOrderDeps {
  kafka: KafkaFactory
  codec: Pick<Codec, 'encode'>
  nowMs: () => number
}

/**
 * Writes an operator's order to agent.control, whence every process follows it and the ledger takes it into the audit.
 * Throws SHUNT_KAFKA_UNAVAILABLE (retryable: the same order given twice is one).
 */
export async function writeOrder(
  deps: WriteOrderDeps,
  given: Pick<ControlOrder, 'name' | 'actor' | 'reason' | 'value'>,
  options: { namespace: string },
): Promise<ControlOrder> {
  const order = { ...given, orderId: randomUUID(), atMs: deps.nowMs() }
  const producer = deps.kafka('shunt-control').producer(producerConfig())
  try {
    await producer.connect()
    const message = { key: order.name, value: deps.codec.encode('control-order', order) }
    await producer.send({ topic: inNamespace(options.namespace, 'agent.control'), acks: -1, messages: [message] })
  } catch (cause) {
    throw new ShuntError(
      'SHUNT_KAFKA_UNAVAILABLE',
      'the order could not be written: check KAFKA_BROKERS and `shunt topics apply`, then give it again',
      { retryable: true, cause },
    )
  } finally {
    await producer.disconnect().catch(() => {})
  }
  return order
}
