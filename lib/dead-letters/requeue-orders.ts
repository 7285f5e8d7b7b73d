import { readRange, withAdmin, type ReadDeps } from '#lib/client/topic-range'
import { formatOrigin } from '#lib/audit/records'
import type { Codec } from '#lib/events/codec'
import { inNamespace } from '#lib/events/topics'
import type { ControlOrder } from '#lib/events/types.generated'
import type { DeadLetter } from './dead-letter.ts'

const prefix = 'deadletter/requeue/'

/** Name of the order: one for each record that died, so that it is told who had it tried again, and done once. */
export function requeueOrderName({ origin }: Pick<DeadLetter, 'origin'>): string {
  return `${prefix}${formatOrigin(origin)}`
}

/** Orders that stand, by their name. What cannot be read is passed over. Throws SHUNT_KAFKA_UNAVAILABLE (retryable). */
export async function readRequeueOrders(
  deps: ReadDeps & { codec: Pick<Codec, 'decode'> },
  options: { namespace: string; signal: AbortSignal },
): Promise<Map<string, ControlOrder>> {
  const orders = new Map<string, ControlOrder>()
  const topic = inNamespace(options.namespace, 'agent.control')
  await withAdmin(deps, [topic], () => Promise.resolve())
  await readRange(deps, {
    topics: [topic],
    from: 'beginning',
    signal: options.signal,
    async onRecord({ key, value }) {
      const name = key?.toString() ?? ''
      if (name.startsWith(prefix) && value !== null) orders.set(name, await deps.codec.decode('control-order', value))
    },
  })
  return orders
}
