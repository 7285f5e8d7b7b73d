import { topicSpan, type ReadDeps } from '#lib/client/topic-range'
import { inNamespace, outOfNamespace } from '#lib/events/topics'
import type { StepOrigin, Tier } from '#lib/events/types.generated'

/** Where the steps of a range were published. */
export const sourceTopics = ['agent.steps', 'agent.steps.batch'] as const

/** What of the recorded steps is replayed; each part narrows it. */
export interface ReplayFilter {
  tasks: readonly string[]
  tenants: readonly string[]
  /** Steps of which at least one decision chose a model of the tier, or bears one of the reasons. */
  tiers: readonly Tier[]
  reasons: readonly string[]
}

/** Offsets by bare topic and partition: from the one on, and below the other. */
export interface ReplaySpan {
  from: Record<string, Record<number, number>>
  until: Record<string, Record<number, number>>
  /** An upper bound of the records. */
  offsets: number
}

export interface RangeOptions {
  namespace: string
  /** Epoch ms, of the records' own timestamps. */
  sinceMs?: number | undefined
  /** Exclusive. @default what is there now */
  untilMs?: number | undefined
  /** By partition of agent.steps; other partitions, and agent.steps.batch, are left out. */
  offsets?: ReadonlyMap<number, { from?: number | undefined; until?: number | undefined }> | undefined
}

/** What a range comes to now, so that a replay that is resumed copies the same. Throws as topicSpan. */
export async function fixRange(deps: ReadDeps, options: RangeOptions): Promise<ReplaySpan> {
  const { namespace, offsets } = options
  const names = sourceTopics.map((topic) => inNamespace(namespace, topic))
  const found = await topicSpan(deps, names, options)
  const span: ReplaySpan = { from: {}, until: {}, offsets: 0 }
  for (const topic of sourceTopics) {
    const name = inNamespace(namespace, topic)
    const [from, until]: Record<number, number>[] = [(span.from[topic] = {}), (span.until[topic] = {})]
    for (const [text, end] of Object.entries(found.until[name]!)) {
      const partition = Number(text)
      const asked = topic === 'agent.steps' ? offsets?.get(partition) : undefined
      const start = Math.max(found.from[name]![partition]!, asked?.from ?? 0)
      const isOut = offsets !== undefined && asked === undefined
      from![partition] = start
      until![partition] = isOut ? start : Math.max(start, Math.min(end, asked?.until ?? Infinity))
      span.offsets += until![partition] - start
    }
  }
  return span
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
