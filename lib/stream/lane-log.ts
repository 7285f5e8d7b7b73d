import type { Admin } from 'kafkajs'
import { ShuntError } from '#lib/errors'

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
