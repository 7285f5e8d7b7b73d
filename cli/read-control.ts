import { createOrdersInForce } from '#lib/control/orders-in-force'
import type { OperatorOrder } from '#lib/control/orders'
import { withAdmin } from '#lib/client/topic-range'
import { inNamespace } from '#lib/events/topics'
import type { CompiledPolicy } from '#lib/policy/compile-policy'
import { createPolicyStore, type PolicyStoreDeps } from '#lib/policy/policy-store'
import { abortable } from '#lib/stream/abortable'

/** What agent.control has in force now. */
export interface Control {
  /** Null where none is in force. */
  policy: CompiledPolicy | null
  orders: OperatorOrder[]
}

/** Throws SHUNT_KAFKA_UNAVAILABLE (retryable), SHUNT_TOPICS_NOT_APPLIED, or the signal's reason. */
export async function readControl(
  deps: Pick<PolicyStoreDeps, 'kafka' | 'codec' | 'log'>,
  options: { namespace: string; signal: AbortSignal },
): Promise<Control> {
  const { namespace, signal } = options
  const topics = (['agent.control', 'agent.policies'] as const).map((topic) => inNamespace(namespace, topic))
  await withAdmin(deps, topics, () => Promise.resolve())
  const orders = createOrdersInForce({ nowMs: Date.now, log: deps.log })
  await using store = createPolicyStore({ ...deps, onOrder: orders.take }, { namespace })
  await abortable(store.ready(), signal)
  return { policy: store.inForce()?.policy ?? null, orders: orders.list() }
}
