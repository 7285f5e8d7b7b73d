import type { Admin } from 'kafkajs'
import type { Logger } from 'pino'
import { ShuntError } from '#lib/errors'
import type { KafkaFactory } from '#lib/stream/kafka'
import { createTail, type TailOffsets } from '#lib/stream/tail'
import type { InboundRecord } from '#lib/stream/types'
import { asShuntError } from './publisher.ts'

export interface ReadDeps {
  kafka: KafkaFactory
  log: Logger
}

/** kafkajs tries for about 50 s; a person at a terminal wants to know sooner. */
const connectTimeoutMs = 10_000

/** Throws SHUNT_KAFKA_UNAVAILABLE (retryable), or SHUNT_TOPICS_NOT_APPLIED where one of `topics` is missing. */
export async function withAdmin<T>(
  { kafka }: Pick<ReadDeps, 'kafka'>,
  topics: readonly string[],
  use: (admin: Admin) => Promise<T>,
): Promise<T> {
  const admin = kafka('shunt-client').admin()
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => late.reject(new Error(`no answer within ${connectTimeoutMs / 1_000} s`)),
    connectTimeoutMs,
  )
  try {
    await Promise.race([admin.connect(), late.promise])
    clearTimeout(timer)
    const there = new Set(await admin.listTopics())
    const missing = topics.filter((topic) => !there.has(topic))
    if (missing.length > 0)
      throw new ShuntError('SHUNT_TOPICS_NOT_APPLIED', `no topic ${missing.join(', ')}: run \`shunt topics apply\``)
    return await use(admin)
  } catch (error) {
    throw asShuntError(error)
  } finally {
    clearTimeout(timer)
    await admin.disconnect().catch(() => {})
  }
}

/** Where the topic ends now: the next offset of each partition. */
export function endOffsets(deps: Pick<ReadDeps, 'kafka'>, topic: string): Promise<TailOffsets> {
  return withAdmin(deps, [topic], async (admin) => byPartition(topic, await admin.fetchTopicOffsets(topic)))
}

/** Where the records of `sinceMs` and later begin. */
export function offsetsSince(deps: Pick<ReadDeps, 'kafka'>, topic: string, sinceMs: number): Promise<TailOffsets> {
  return withAdmin(deps, [topic], async (admin) =>
    byPartition(topic, await admin.fetchTopicOffsetsByTimestamp(topic, Math.max(0, Math.floor(sinceMs)))),
  )
}

function byPartition(topic: string, offsets: readonly { partition: number; offset: string }[]): TailOffsets {
  return { [topic]: Object.fromEntries(offsets.map(({ partition, offset }) => [partition, Number(offset)])) }
}

export interface ReadRangeOptions {
  topics: readonly string[]
  from: 'beginning' | TailOffsets
  onRecord: (record: InboundRecord) => void | Promise<void>
  /** Goes on after the end, until the signal aborts. */
  follow?: boolean
  signal?: AbortSignal | undefined
}

/** Reads what is committed in the topics now, then ends. Throws the signal's reason. */
export async function readRange(deps: ReadDeps, options: ReadRangeOptions): Promise<void> {
  const { signal, follow = false, ...range } = options
  signal?.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const abort = (): void => aborted.reject(signal?.reason)
  signal?.addEventListener('abort', abort, { once: true })
  const tail = createTail(deps, { ...range, groupPrefix: 'shunt-read' })
  try {
    await Promise.race([tail.caughtUp, aborted.promise])
    if (follow) await aborted.promise
  } finally {
    signal?.removeEventListener('abort', abort)
    await tail.stop()
  }
}
