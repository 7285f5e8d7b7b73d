import { isResultsTopic } from '#lib/events/results-topic'
import { inNamespace, topicNames, topics } from '#lib/events/topics'
import { kafkaErrorType } from '#lib/stream/kafka-errors'
import { retentionsOf } from '#lib/stream/topic-retention'
import { withAdmin, type ReadDeps } from './topic-range.ts'

export interface ListedTopic {
  name: string
  /** Null for a topic that is not there. */
  partitions: number | null
  /** Offsets that hold, or held, a record or a transaction's marker: an upper bound of the records. */
  offsets: number | null
  /** As the broker has it, and for one that is not there as Shunt would create it; -1 for ever, null where it may not be seen. */
  retentionMs: number | null
}

/** Shunt's topics as they are in Kafka. Throws SHUNT_KAFKA_UNAVAILABLE (retryable). */
export function listTopics(deps: Pick<ReadDeps, 'kafka'>, namespace: string): Promise<ListedTopic[]> {
  return withAdmin(deps, [], async (admin) => {
    const there = new Set(await admin.listTopics())
    const own = topicNames.map((topic) => ({ name: inNamespace(namespace, topic), ...topics[topic] }))
    const ofTenants = [...there]
      .filter((name) => isResultsTopic(namespace, name) && own.every((topic) => topic.name !== name))
      .map((name) => ({ ...topics['agent.results'], name }))
    const all = [...own, ...ofTenants]
    const retentions = await retentionsOf(
      admin,
      all.flatMap(({ name }) => (there.has(name) ? [name] : [])),
    ).catch((error: unknown) => {
      if (kafkaErrorType(error) === 'TOPIC_AUTHORIZATION_FAILED') return new Map<string, number>()
      throw error
    })
    return Promise.all(
      all.map(async ({ name, retentionMs }) => {
        if (!there.has(name)) return { name, partitions: null, offsets: null, retentionMs }
        const ranges = await admin.fetchTopicOffsets(name)
        const offsets = ranges.reduce((sum, { low, high }) => sum + Number(high) - Number(low), 0)
        return { name, partitions: ranges.length, offsets, retentionMs: retentions.get(name) ?? null }
      }),
    )
  })
}
