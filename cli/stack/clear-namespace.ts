import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { inNamespace } from '#lib/events/topics'
import { createKafkaFactory } from '#lib/stream/kafka'
import type { Logger } from '#lib/telemetry/logger'
import type { StackAddresses } from './stack.ts'

/**
 * Removes topics, groups and Redis keys of a namespace that a run made for itself on parts that others use, too. Its
 * schemas stay in the registry, where an id is never to be given twice. Topics go last: while one is there, the namespace is
 * seen to be there, and what is left of it can be removed again. Refuses the empty namespace.
 */
export async function clearNamespace(addresses: StackAddresses, namespace: string, log: Logger): Promise<void> {
  if (namespace === '') throw new RangeError('the empty namespace is everything')
  const prefix = inNamespace(namespace, '')
  await clearRedis(addresses.redisUrl, prefix)
  await clearKafka(addresses, prefix, log)
}

async function clearKafka(addresses: StackAddresses, prefix: string, log: Logger): Promise<void> {
  const admin = createKafkaFactory(
    { log },
    { brokers: addresses.brokers, security: addresses.kafkaSecurity },
  )('shunt-clear').admin()
  await admin.connect()
  try {
    const topics = (await admin.listTopics()).filter((topic) => topic.startsWith(prefix))
    const { groups } = await admin.listGroups()
    const own = groups.map(({ groupId }) => groupId).filter((group) => group.startsWith(prefix))
    if (own.length > 0) await untilEmpty(() => admin.deleteGroups(own))
    if (topics.length > 0) await admin.deleteTopics({ topics })
  } finally {
    await admin.disconnect()
  }
}

/** The broker forgets the members of a group that did not say goodbye after their session's time-out. */
async function untilEmpty(deleteGroups: () => Promise<unknown>): Promise<void> {
  const deadline = performance.now() + 10_000
  for (;;)
    try {
      await deleteGroups()
      return
    } catch (error) {
      if (performance.now() > deadline) throw error
      await sleep(500)
    }
}

async function clearRedis(redisUrl: string, prefix: string): Promise<void> {
  const redis = new Redis(redisUrl, { maxRetriesPerRequest: 1 })
  try {
    for await (const keys of redis.scanStream({ match: `${prefix}*`, count: 500 }) as AsyncIterable<string[]>)
      if (keys.length > 0) await redis.unlink(...keys)
  } finally {
    redis.disconnect()
  }
}
