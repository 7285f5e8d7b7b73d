import { randomUUID } from 'node:crypto'
import { ShuntError } from '#lib/errors'
import type { Codec } from '#lib/events/codec'
import { inNamespace } from '#lib/events/topics'
import type { ControlOrder } from '#lib/events/types.generated'
import { producerConfig, type KafkaFactory } from '#lib/stream/kafka'
import { orderValue, readOrder, type OperatorOrder } from './orders.ts'

export interface GiveOrderDeps {
  kafka: KafkaFactory
  codec: Pick<Codec, 'encode'>
  nowMs: () => number
}

export type GivenOrder = Pick<OperatorOrder, 'name' | 'kind' | 'stands' | 'actor' | 'reason'>

/**
 * Writes an order to agent.control; every process follows it within moments. Throws SHUNT_ORDER_INVALID before it writes
 * what nobody would follow, and SHUNT_KAFKA_UNAVAILABLE (retryable: the same order given twice is one).
 */
export async function giveOrder(
  deps: GiveOrderDeps,
  given: GivenOrder,
  options: { namespace: string },
): Promise<ControlOrder> {
  const { name, kind, stands, actor, reason } = given
  const orderId = randomUUID()
  const order = { name, orderId, actor, reason, atMs: deps.nowMs(), value: orderValue(kind, stands) }
  readOrder(order)
  const producer = deps.kafka('shunt-control').producer(producerConfig())
  try {
    await producer.connect()
    const message = { key: name, value: deps.codec.encode('control-order', order) }
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
