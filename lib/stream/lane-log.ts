import type { Admin, Producer } from 'kafkajs'
import { ShuntError } from '#lib/errors'
import { decodeProgress, type Committed } from './progress-codec.ts'

/** What the broker knows of one partition as a group reads it. */
export interface LaneLog {
  /** The committed offset with its metadata; null where none is committed. */
  committed(): Promise<{ offset: number; metadata: string | null } | null>
  /** First offset of the partition, and one past its last. */
  bounds(): Promise<{ start: number; end: number }>
}

export function createLaneLog(admin: Admin, lane: { group: string; topic: string; partition: number }): LaneLog {
  const { group, topic, partition } = lane
  return {
    async committed() {
      const [found] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
      const at = found?.partitions.find((offset) => offset.partition === partition)
      if (!at) throw new ShuntError('SHUNT_TOPICS_NOT_APPLIED', `${topic}/${partition} does not exist`)
      return Number(at.offset) < 0 ? null : { offset: Number(at.offset), metadata: at.metadata }
    },
    async bounds() {
      const found = await admin.fetchTopicOffsets(topic)
      const at = found.find((offset) => offset.partition === partition)
      if (!at) throw new ShuntError('SHUNT_TOPICS_NOT_APPLIED', `${topic}/${partition} does not exist`)
      return { start: Number(at.low), end: Number(at.high) }
    },
  }
}

export interface FencedLane {
  /** Holds the lane's transactional id. */
  fresh: Producer
  /** As committed by the owner before, who can commit no more. */
  progress: Committed
  bounds: { start: number; end: number }
}

/** From here on whoever held the producer's transactional id before can commit no more. */
export async function fence(producer: Producer): Promise<void> {
  await producer.connect()
  // connect() initialises the idempotent id only; the transactional id, which fences, is initialised by this.
  await (await producer.transaction()).abort()
}

/**
 * Takes the lane from its owner before, and only then reads what that one has committed. Throws what `whyMissing` gives
 * where nothing is committed, SHUNT_METADATA_UNKNOWN, and SHUNT_OFFSETS_LOST where the log ends before the offset.
 */
export async function fenceAndRead(
  deps: { newProducer: () => Producer; laneLog: LaneLog; whyMissing: () => Promise<ShuntError> },
  lane: { topic: string; partition: number },
): Promise<FencedLane> {
  const fresh = deps.newProducer()
  try {
    await fence(fresh)
    const committed = await deps.laneLog.committed()
    if (!committed) throw await deps.whyMissing()
    const progress = decodeProgress(committed.offset, committed.metadata)
    const bounds = await deps.laneLog.bounds()
    if (committed.offset > bounds.end)
      throw new ShuntError(
        'SHUNT_OFFSETS_LOST',
        `${lane.topic}/${lane.partition} ends at ${bounds.end}, before the committed ${committed.offset}: ` +
          'was the topic created anew?',
      )
    return { fresh, progress, bounds }
  } catch (error) {
    await fresh.disconnect().catch(() => {})
    throw error
  }
}
