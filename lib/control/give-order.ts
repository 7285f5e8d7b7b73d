import type { ControlOrder } from '#lib/events/types.generated'
import { orderValue, readOrder, type OperatorOrder } from './orders.ts'
import { writeOrder, type WriteOrderDeps } from './write-order.ts'

export type GivenOrder = Pick<OperatorOrder, 'name' | 'kind' | 'stands' | 'actor' | 'reason'>

/** As `writeOrder`, of an order that services follow. Throws SHUNT_ORDER_INVALID before it writes what nobody would. */
export async function giveOrder(
  deps: WriteOrderDeps,
  { name, kind, stands, actor, reason }: GivenOrder,
  options: { namespace: string },
): Promise<ControlOrder> {
  const given = { name, actor, reason, value: orderValue(kind, stands) }
  readOrder({ ...given, orderId: '', atMs: deps.nowMs() })
  return writeOrder(deps, given, options)
}
