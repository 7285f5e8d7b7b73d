import { topicSpan, type ReadDeps } from '#lib/client/topic-range'
import { inNamespace, outOfNamespace } from '#lib/events/topics'
import type { StepOrigin } from '#lib/events/types.generated'
import type { DecisionFilter } from '../decision-filter.ts'

/** Where the steps of a range were published. */
export const sourceTopics = ['agent.steps', 'agent.steps.batch'] as const

/** What of the recorded steps is replayed: those of which a decision passes, where anything is asked of decisions. */
export interface ReplayFilter extends DecisionFilter {
  /** By partition of agent.audit: decisions that lie from the one offset on, and below the other. */
  auditOffsets?: readonly { partition: number; from?: number | undefined; until?: number | undefined }[] | undefined
}

/** Whether the range depends on how its steps were decided, and not on the steps alone. */
export function asksForDecisions({ tiers, reasons, auditOffsets }: ReplayFilter): boolean {
  return tiers !== undefined || reasons !== undefined || auditOffsets !== undefined
}

/** Offsets by bare topic and partition: from the one on, and below the other. */
export interface ReplaySpan {
  from: Record<string, Record<number, number>>
  until: Record<string, Record<number, number>>
  /** An upper bound of the records. */
  offsets: number
}

/** What times (epoch ms, of the steps' own records) come to now, so that a replay that is resumed copies the same. */
export async function fixRange(
  deps: ReadDeps,
  options: { namespace: string; sinceMs?: number | undefined; untilMs?: number | undefined },
): Promise<ReplaySpan> {
  const { namespace } = options
  const bare = (offsets: ReplaySpan['from']) =>
    Object.fromEntries(sourceTopics.map((topic) => [topic, offsets[inNamespace(namespace, topic)]!]))
  const names = sourceTopics.map((topic) => inNamespace(namespace, topic))
  const { from, until, offsets } = await topicSpan(deps, names, options)
  return { from: bare(from), until: bare(until), offsets }
}

/** The step's record as a span names it, or null where it lies outside. */
export function placeInSpan(
  { from, until }: ReplaySpan,
  { topic, partition, offset }: Pick<StepOrigin, 'topic' | 'partition' | 'offset'>,
  namespace: string,
): string | null {
  const bare = outOfNamespace(namespace, topic)
  if (bare === undefined || offset < (from[bare]?.[partition] ?? Infinity)) return null
  return offset < (until[bare]?.[partition] ?? 0) ? `${bare}/${partition}/${offset}` : null
}
