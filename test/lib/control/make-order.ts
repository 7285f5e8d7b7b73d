import type { ControlOrder } from '#lib/events/types.generated'

/** An order of agent.control that stands, unless it says otherwise. */
export function makeOrder(name: string, more: Partial<ControlOrder> = {}): ControlOrder {
  const value = name.startsWith('cancel') ? '{"cancelled":true}' : '{"paused":true}'
  return { name, orderId: 'o-1', actor: 'test', reason: 'of the test', atMs: 1_000, value, ...more }
}
