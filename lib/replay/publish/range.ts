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

/** Steps of certain times. Offsets, by bare topic and partition, are where they lie: from the one on, and below the other. */
export interface ReplaySpan {
  from: Record<string, Record<number, number>>
  until: Record<string, Record<number, number>>
  /** An upper bound of the records. */
  offsets: number
  /** Times of the steps' own records, epoch ms: from the one on, and before the other. */
  sinceMs: number | null
  untilMs: number | null
}

export function isInTime({ sinceMs, untilMs }: Pick<ReplaySpan, 'sinceMs' | 'untilMs'>, atMs: number): boolean {
  return atMs >= (sinceMs ?? -Infinity) && atMs < (untilMs ?? Infinity)
}

/** As far as a broker lets a record's time lie ahead of its own (`message.timestamp.after.max.ms`, by default). */
const mostAheadMs = 3_600_000

/**
 * What a range comes to now, so that a replay that is resumed copies the same. Publishers have clocks of their own: times
 * of a partition need not ascend, and one that is ahead must not end the range for all that follow.
 */
export async function fixRange(
  deps: ReadDeps,
  { namespace, sinceMs, untilMs }: { namespace: string; sinceMs?: number | undefined; untilMs?: number | undefined },
): Promise<ReplaySpan> {
  const bare = (offsets: ReplaySpan['from']) =>
    Object.fromEntries(sourceTopics.map((topic) => [topic, offsets[inNamespace(namespace, topic)]!]))
  const names = sourceTopics.map((topic) => inNamespace(namespace, topic))
  const { from, until, offsets } = await topicSpan(deps, names, {
    sinceMs,
    untilMs: untilMs === undefined ? undefined : untilMs + mostAheadMs,
  })
  return { from: bare(from), until: bare(until), offsets, sinceMs: sinceMs ?? null, untilMs: untilMs ?? null }
}

/** The step's record as a span names it, or null where it lies outside. */
export function placeInSpan(
  span: ReplaySpan,
  { topic, partition, offset, receivedAtMs }: StepOrigin,
  namespace: string,
): string | null {
  const { from, until } = span
  const bare = outOfNamespace(namespace, topic)
  if (!isInTime(span, receivedAtMs)) return null
  if (bare === undefined || offset < (from[bare]?.[partition] ?? Infinity)) return null
  return offset < (until[bare]?.[partition] ?? 0) ? `${bare}/${partition}/${offset}` : null
}
