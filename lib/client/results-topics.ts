import { ShuntError } from '#lib/errors'
import { isResultsTopic } from '#lib/events/results-topic'
import { withAdmin, type ReadDeps } from './topic-range.ts'

/**
 * All topics with results that the caller may see: Kafka names none to those who may not read it, so that a tenant's
 * publisher finds its own alone. Throws SHUNT_KAFKA_UNAVAILABLE (retryable), or SHUNT_TOPICS_NOT_APPLIED where there is
 * none.
 */
export function listResultsTopics(deps: Pick<ReadDeps, 'kafka'>, namespace: string): Promise<string[]> {
  return withAdmin(deps, [], async (admin) => {
    const found = (await admin.listTopics()).filter((topic) => isResultsTopic(namespace, topic)).toSorted()
    if (found.length === 0)
      throw new ShuntError('SHUNT_TOPICS_NOT_APPLIED', 'no topic with results: run `shunt topics apply`')
    return found
  })
}
