import { isResultsTopic } from '#lib/events/results-topic'
import { inNamespace, topicNames, topics } from '#lib/events/topics'
import { withAdmin, type ReadDeps } from './topic-range.ts'

export interface ListedTopic {
  name: string
  /** Null for a topic that is not there. */
  partitions: number | null
  /** Offsets that hold, or held, a record or a transaction's marker: an upper bound of the records. */
  offsets: number | null
  /** As Shunt creates it; -1 for ever. */
  retentionMs: number
}

/** Shunt's topics as they are in Kafka. Throws SHUNT_KAFKA_UNAVAILABLE (retryable). */
export function listTopics(deps: Pick<ReadDeps, 'kafka'>, namespace: string): Promise<ListedTopic[]> {
  return withAdmin(deps, [], async (admin) => {
    const there = new Set(await admin.listTopics())
    const own = topicNames.map((topic) => ({ name: inNamespace(namespace, topic), ...topics[topic] }))
    const ofTenants = [...there]
      .filter((name) => isResultsTopic(namespace, name) && own.every((topic) => topic.name !== name))
      .map((name) => ({ ...topics['agent.results'], name }))
    return Promise.all(
      [...own, ...ofTenants].map(async ({ name, retentionMs }) => {
        if (!there.has(name)) return { name, partitions: null, offsets: null, retentionMs }
        const ranges = await admin.fetchTopicOffsets(name)
        const offsets = ranges.reduce((sum, { low, high }) => sum + Number(high) - Number(low), 0)
        return { name, partitions: ranges.length, offsets, retentionMs }
      }),
    )
  })
}
