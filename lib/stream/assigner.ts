import { hash } from 'node:crypto'
import { AssignerProtocol } from 'kafkajs'
import type { PartitionAssigner } from 'kafkajs'

export interface GroupReplica {
  memberId: string
  /** Stable over restarts. */
  replica: string
  topics: readonly string[]
}

export interface TopicPartition {
  topic: string
  partition: number
}

/**
 * Which replica takes which partition: rendezvous hashing, so that a replica that comes or goes moves few partitions,
 * and one that restarts under its name gets its own back. Pure.
 *
 * Plain rendezvous hashing is lopsided where partitions are few (6 over 3 may fall 4, 1, 1). So no replica takes more
 * than its even share of a topic, nor of all; pairs are taken by weight over all of them, which moves fewer than
 * handing out partition by partition. Refused: a sticky assigner, which needs everyone's word of what they hold.
 */
export function assignPartitions(
  members: readonly GroupReplica[],
  partitions: readonly TopicPartition[],
): Map<string, TopicPartition[]> {
  const names = uniqueNames(members)
  const assigned = new Map<string, TopicPartition[]>(members.map((member) => [member.memberId, []]))
  const pairs = partitions.flatMap((at) =>
    members
      .filter((member) => member.topics.includes(at.topic))
      .map((member) => ({ at, memberId: member.memberId, weight: weigh(names.get(member.memberId) ?? '', at) })),
  )
  pairs.sort((a, b) => (a.weight < b.weight ? 1 : a.weight > b.weight ? -1 : 0))
  const fairOfAll = Math.ceil(partitions.length / members.length)
  const fairOfTopic = (topic: string) =>
    Math.ceil(
      partitions.filter((at) => at.topic === topic).length / members.filter((m) => m.topics.includes(topic)).length,
    )
  const taken = new Set<TopicPartition>()
  const take = (bound: (held: readonly TopicPartition[], topic: string) => boolean) => {
    for (const { at, memberId } of pairs) {
      const held = assigned.get(memberId)
      if (taken.has(at) || !held || !bound(held, at.topic)) continue
      held.push(at)
      taken.add(at)
    }
  }
  const ofTopic = (held: readonly TopicPartition[], topic: string) => held.filter((at) => at.topic === topic).length
  take((held, topic) => held.length < fairOfAll && ofTopic(held, topic) < fairOfTopic(topic))
  take((held, topic) => ofTopic(held, topic) < fairOfTopic(topic))
  take(() => true)
  return assigned
}

/** Two members of one name (a restart before the old session ran out, or a setting forgotten) share as two replicas. */
function uniqueNames(members: readonly GroupReplica[]): Map<string, string> {
  const seen = new Set<string>()
  const names = new Map<string, string>()
  for (const { memberId, replica } of members.toSorted((a, b) => (a.memberId < b.memberId ? -1 : 1))) {
    names.set(memberId, seen.has(replica) ? `${replica}#${memberId}` : replica)
    seen.add(replica)
  }
  return names
}

function weigh(replica: string, at: TopicPartition): string {
  return hash('sha256', `${replica}\n${at.topic}\n${at.partition}`)
}

const protocolName = 'shunt-rendezvous'
const protocolVersion = 0

/** The assigner of a member named `replica`, as kafkajs takes it; the name travels as the member's user data. */
export function rendezvousAssigner(replica: string): PartitionAssigner {
  return ({ cluster }) => ({
    name: protocolName,
    version: protocolVersion,
    protocol: ({ topics }) => ({
      name: protocolName,
      metadata: AssignerProtocol.MemberMetadata.encode({
        version: protocolVersion,
        topics,
        userData: Buffer.from(replica),
      }),
    }),
    assign: ({ members, topics }) => {
      const replicas = members.map(({ memberId, memberMetadata }) => {
        const metadata = AssignerProtocol.MemberMetadata.decode(memberMetadata)
        return { memberId, replica: metadata?.userData.toString() ?? memberId, topics: metadata?.topics ?? topics }
      })
      const partitions = topics.flatMap((topic) =>
        cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => ({ topic, partition: partitionId })),
      )
      const assigned = assignPartitions(replicas, partitions)
      return Promise.resolve(
        replicas.map(({ memberId }) => ({
          memberId,
          memberAssignment: AssignerProtocol.MemberAssignment.encode({
            version: protocolVersion,
            assignment: byTopic(assigned.get(memberId) ?? []),
            userData: Buffer.alloc(0),
          }),
        })),
      )
    },
  })
}

function byTopic(partitions: readonly TopicPartition[]): Record<string, number[]> {
  const grouped: Record<string, number[]> = {}
  for (const { topic, partition } of partitions) (grouped[topic] ??= []).push(partition)
  return grouped
}
