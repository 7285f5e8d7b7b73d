import { z } from 'zod'
import { ShuntError } from '#lib/errors'
import type { ControlOrder } from '#lib/events/types.generated'
import { frontierModes } from './derive-policy.ts'
import type { ReplayFilter } from './range.ts'

/** Name of the order in the replay's own agent.control that tells what it replays: the ledger takes it into the audit. */
export const replayOrderName = 'replay'

const offsets = z.record(z.string(), z.record(z.coerce.number<string>(), z.number().int().min(0)))
const replayOrderSchema = z.object({
  id: z.string(),
  /** The namespace that is replayed; empty for the one without a name. */
  source: z.string(),
  span: z.object({
    from: offsets,
    until: offsets,
    offsets: z.number().int().min(0),
    sinceMs: z.number().nullable(),
    untilMs: z.number().nullable(),
  }),
  filter: z.object({
    taskIds: z.array(z.string()).optional(),
    tenantIds: z.array(z.string()).optional(),
    tiers: z.array(z.enum(['oss', 'frontier', 'none'])).optional(),
    reasons: z.array(z.string()).optional(),
    auditOffsets: z
      .array(z.object({ partition: z.number(), from: z.number().optional(), until: z.number().optional() }))
      .optional(),
  }),
  frontier: z.enum(frontierModes),
  /** Hash of the policy that was pinned; the one in force in the replay was derived from it. */
  pinnedHash: z.string(),
  /** Variables in which the pinned policy's providers have their keys; with recorded answers the derived one names none. */
  providerKeys: z.array(z.string()),
})

/** Everything that a replay needs to go on as it began. */
export interface ReplayOrder extends Omit<z.infer<typeof replayOrderSchema>, 'filter'> {
  filter: ReplayFilter
}

/** Throws SHUNT_REPLAY_REFUSED where the replay never got as far as its order. */
export function readReplayOrder(order: ControlOrder | undefined, namespace: string): ReplayOrder {
  try {
    if (order) return replayOrderSchema.parse(JSON.parse(order.value))
  } catch {
    // As if there were none.
  }
  throw new ShuntError(
    'SHUNT_REPLAY_REFUSED',
    `${namespace} does not say what it replays, so that nothing can be resumed: remove it with \`shunt replay remove\`, and begin anew`,
  )
}
