import type { KafkaFactory } from './kafka.ts'

/** Of clients and readers that are gone with their process (`throwAwayGroup`). */
const throwAway = /^shunt-[a-z-]+-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Methods that change something, with the names of what they change. */
const named: Readonly<Record<string, (argument: never) => readonly string[]>> = {
  send: ({ topic }: { topic: string }) => [topic],
  sendBatch: ({ topicMessages = [] }: { topicMessages?: { topic: string }[] }) =>
    topicMessages.map(({ topic }) => topic),
  sendOffsets: ({ consumerGroupId, topics }: { consumerGroupId: string; topics: { topic: string }[] }) => [
    consumerGroupId,
    ...topics.map(({ topic }) => topic),
  ],
  createTopics: ({ topics }: { topics: { topic: string }[] }) => topics.map(({ topic }) => topic),
  createPartitions: ({ topicPartitions }: { topicPartitions: { topic: string }[] }) =>
    topicPartitions.map(({ topic }) => topic),
  deleteTopics: ({ topics }: { topics: string[] }) => topics,
  deleteGroups: (groups: string[]) => groups,
}
/** Methods that change nothing, of an admin client, a producer and its transactions. */
const harmless = /^(?:connect|disconnect|on|events|logger|list|fetch|describe|isActive|abort|commit)/

/**
 * Kafka for a process that reads one namespace and writes another: whatever would write, commit or delete under a name
 * outside `prefix` throws before it is sent, and so does a method that is not known to be harmless. Groups that are thrown
 * away after use are nobody's.
 *
 * Why here, and not by care? The names are put together in many places, and one that is wrong writes into production.
 */
export function guardKafka(kafka: KafkaFactory, prefix: string): KafkaFactory {
  const check = (what: string, names: readonly (string | undefined)[]): void => {
    for (const name of names)
      if (name !== undefined && !name.startsWith(prefix) && !throwAway.test(name))
        throw new RangeError(`${what} of ${name}, which is outside ${prefix}*`)
  }

  function guarded<T extends object>(client: T): T {
    return new Proxy(client, {
      get(target, property) {
        const value: unknown = Reflect.get(target, property)
        if (typeof value !== 'function' || typeof property !== 'string') return value
        const method = value as (...args: unknown[]) => unknown
        // A transaction writes under the producer's own id, which was looked at.
        if (property === 'transaction')
          return async (...args: unknown[]) => guarded((await method.apply(target, args)) as object)
        const namesOf = named[property]
        if (!namesOf && !harmless.test(property)) throw new RangeError(`${property}() is not known to be harmless`)
        return (...args: unknown[]) => {
          if (namesOf) check(property, namesOf(args[0] as never))
          return method.apply(target, args)
        }
      },
    })
  }

  return (clientId) => {
    const client = kafka(clientId)
    return new Proxy(client, {
      get(target, property) {
        if (property === 'admin') return (...args: Parameters<typeof target.admin>) => guarded(target.admin(...args))
        if (property === 'producer')
          return (...args: Parameters<typeof target.producer>) => {
            check('a transactional id', [args[0]?.transactionalId])
            return guarded(target.producer(...args))
          }
        if (property === 'consumer')
          return (...args: Parameters<typeof target.consumer>) => {
            check('a group', [args[0].groupId])
            return target.consumer(...args)
          }
        return Reflect.get(target, property)
      },
    })
  }
}
