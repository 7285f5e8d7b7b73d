import { withAdmin, type ReadDeps } from '#lib/client/topic-range'
import { inNamespace } from '#lib/events/topics'
import { laneName } from '#lib/stream/lane'
import { decodeProgress } from '#lib/stream/progress-codec'
import { stageGroupNames, stageGroups } from '#lib/stream/stage-groups'
import { parseHead } from './chain.ts'
import type { ChainMark, CommittedHeads } from './chain-marks.ts'

export interface LaneMarks {
  marks: ChainMark[]
  /** Of all lanes whose commit can be read. */
  committed: CommittedHeads
  /** Lanes whose commit is of another release or program, or gone. */
  unreadable: string[]
}

/**
 * Where each lane's chain stands, as its last offset commit says: the only witness of a chain's last links beside the
 * anchors. Read it before the log. Throws SHUNT_KAFKA_UNAVAILABLE (retryable),
 * SHUNT_TOPICS_NOT_APPLIED.
 */
export function readLaneMarks(deps: Pick<ReadDeps, 'kafka'>, namespace: string, nowMs: number): Promise<LaneMarks> {
  const all = stageGroupNames.flatMap((group) => stageGroups[group].map((topic) => inNamespace(namespace, topic)))
  return withAdmin(deps, all, async (admin) => {
    const committed = new Map<string, Pick<ChainMark, 'epoch' | 'seq'>>()
    const found: LaneMarks = { marks: [], committed, unreadable: [] }
    for (const groupName of stageGroupNames) {
      const groupId = inNamespace(namespace, groupName)
      const topics = stageGroups[groupName].map((topic) => inNamespace(namespace, topic))
      for (const { topic, partitions } of await admin.fetchOffsets({ groupId, topics }))
        for (const { partition, offset, metadata } of partitions) {
          const chainId = laneName(groupId, topic, partition)
          const head = Number(offset) < 0 ? undefined : headOf(Number(offset), metadata)
          if (head !== undefined) committed.set(chainId, head ?? { epoch: 0, seq: 0 })
          if (head === undefined) found.unreadable.push(chainId)
          // A lane that has written nothing since its epoch began has no link to compare.
          else if (head !== null && head.seq > 0)
            found.marks.push({ ...head, by: 'lane', chainId, atMs: nowMs, place: null })
        }
    }
    return found
  })
}

/** Null for a lane that never wrote a link; undefined where the commit does not say. */
function headOf(offset: number, metadata: string | null): ReturnType<typeof parseHead> | null | undefined {
  try {
    const { head } = decodeProgress(offset, metadata)
    return head === null ? null : parseHead(head)
  } catch {
    return undefined
  }
}
