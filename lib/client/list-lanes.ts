import { parseHead } from '#lib/audit/chain'
import { inNamespace } from '#lib/events/topics'
import { decodeProgress } from '#lib/stream/progress-codec'
import { stageGroupNames, stageGroups, type StageGroup } from '#lib/stream/stage-groups'
import { withAdmin, type ReadDeps } from './topic-range.ts'

export type ListedLaneState = 'ok' | 'no offset' | 'unreadable'

export interface ListedLane {
  group: StageGroup
  topic: string
  partition: number
  state: ListedLaneState
  /** The lowest offset that is not finished. */
  committed: number | null
  /** Started above it, or at it, and not finished at the last commit. */
  incomplete: number | null
  /** Offsets from the committed one to the partition's end; some may be finished, or be transactions' markers. */
  lag: number | null
  /** Of the audit chain: null before its first record. */
  epoch: number | null
  seq: number | null
}

/** Every lane as its last commit tells it. Throws SHUNT_KAFKA_UNAVAILABLE (retryable), SHUNT_TOPICS_NOT_APPLIED. */
export function listLanes(deps: Pick<ReadDeps, 'kafka'>, namespace: string): Promise<ListedLane[]> {
  const all = stageGroupNames.flatMap((group) => stageGroups[group].map((topic) => inNamespace(namespace, topic)))
  return withAdmin(deps, all, async (admin) => {
    const ends = new Map<string, number>()
    for (const topic of all)
      for (const { partition, high } of await admin.fetchTopicOffsets(topic))
        ends.set(`${topic}/${partition}`, Number(high))
    const lanes: ListedLane[] = []
    for (const group of stageGroupNames) {
      const topics = stageGroups[group].map((topic) => inNamespace(namespace, topic))
      const found = await admin.fetchOffsets({ groupId: inNamespace(namespace, group), topics })
      for (const { topic, partitions } of found)
        for (const { partition, offset, metadata } of partitions.toSorted((a, b) => a.partition - b.partition))
          lanes.push(
            describeLane({ group, topic, partition }, Number(offset), metadata, ends.get(`${topic}/${partition}`) ?? 0),
          )
    }
    return lanes
  })
}

/** Pure: what an offset commit says of its lane. */
export function describeLane(
  at: Pick<ListedLane, 'group' | 'topic' | 'partition'>,
  offset: number,
  metadata: string | null,
  end: number,
): ListedLane {
  const unknown = { committed: null, incomplete: null, lag: null, epoch: null, seq: null }
  if (offset < 0) return { ...at, state: 'no offset', ...unknown }
  const known = { committed: offset, lag: Math.max(0, end - offset) }
  try {
    const { low, upTo, incomplete, head } = decodeProgress(offset, metadata)
    const chain = head === null ? null : parseHead(head)
    return {
      ...at,
      state: 'ok',
      ...known,
      incomplete: incomplete.length + (upTo > low ? 1 : 0),
      epoch: chain?.epoch ?? null,
      seq: chain?.seq ?? null,
    }
  } catch {
    // Another version's commit, or another program's: its offset stands, what it says beyond that does not.
    return { ...at, state: 'unreadable', ...unknown, ...known }
  }
}
