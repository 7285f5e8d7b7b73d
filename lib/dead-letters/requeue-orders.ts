import { z } from 'zod'
import { readRange, withAdmin, type ReadDeps } from '#lib/client/topic-range'
import { formatOrigin } from '#lib/audit/records'
import type { Codec } from '#lib/events/codec'
import { inNamespace } from '#lib/events/topics'
import type { ControlOrder, StepOrigin } from '#lib/events/types.generated'
import type { DeadLetter } from './dead-letter.ts'

const prefix = 'deadletter/requeue/'

/** Name of the order: one for each record that died, so that it is told who had it tried again, and done once. */
export function requeueOrderName({ origin }: Pick<DeadLetter, 'origin'>): string {
  return `${prefix}${formatOrigin(origin)}`
}

/** A step that is decided anew by such an order, under the attempt that was decided before. */
export interface RequeuedStep {
  tenantId: string
  stepId: string
  origin: StepOrigin
}

export function requeueOrderValue(
  { place, code }: Pick<DeadLetter, 'place' | 'code'>,
  topic: string,
  step: RequeuedStep | null,
): string {
  return JSON.stringify({ letter: formatOrigin(place), code, topic, ...(step && { step }) })
}

const orderOfStep = z.object({
  step: z.object({
    tenantId: z.string(),
    stepId: z.string(),
    origin: z.object({ topic: z.string(), partition: z.int(), offset: z.int(), receivedAtMs: z.int() }),
  }),
})

/** Null for an order that has no step decided again, and for one whose value is none. */
export function requeuedStepOf({ name, value }: Pick<ControlOrder, 'name' | 'value'>): RequeuedStep | null {
  if (!name.startsWith(prefix)) return null
  try {
    return orderOfStep.parse(JSON.parse(value)).step
  } catch {
    return null
  }
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
