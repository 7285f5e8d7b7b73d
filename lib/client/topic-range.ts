import type { Admin } from 'kafkajs'
import type { Logger } from 'pino'
import { ShuntError } from '#lib/errors'
import type { KafkaFactory } from '#lib/stream/kafka'
import { createTail, type TailOffsets } from '#lib/stream/tail'
import type { InboundRecord } from '#lib/stream/types'
import { asShuntError } from './publisher.ts'
import type { RecordPlace } from './waits.ts'

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

/** Where the topics end now: the next offset of each partition. */
export function endOffsets(deps: Pick<ReadDeps, 'kafka'>, topics: readonly string[]): Promise<TailOffsets> {
  return withAdmin(deps, topics, (admin) => ofEach(topics, (topic) => admin.fetchTopicOffsets(topic)))
}

/** Where the records of `sinceMs` and later begin. */
export function offsetsSince(
  deps: Pick<ReadDeps, 'kafka'>,
  topics: readonly string[],
  sinceMs: number,
): Promise<TailOffsets> {
  const atMs = Math.max(0, Math.floor(sinceMs))
  return withAdmin(deps, topics, (admin) => ofEach(topics, (topic) => admin.fetchTopicOffsetsByTimestamp(topic, atMs)))
}

async function ofEach(
  topics: readonly string[],
  offsetsOf: (topic: string) => Promise<{ partition: number; offset: string }[]>,
): Promise<TailOffsets> {
  return Object.assign(
    {},
    ...(await Promise.all(topics.map(async (topic) => byPartition(topic, await offsetsOf(topic))))),
  )
}

function byPartition(topic: string, offsets: readonly { partition: number; offset: string }[]): TailOffsets {
  return { [topic]: Object.fromEntries(offsets.map(({ partition, offset }) => [partition, Number(offset)])) }
}

export interface TopicSpan {
  from: TailOffsets
  until: TailOffsets
  /** Offsets in between: an upper bound of the records. */
  offsets: number
}

export interface KeptSpan extends TopicSpan {
  /** Where each partition begins: behind 0, retention has removed what was before. */
  kept: TailOffsets
}

/** What the topics hold now, of the records' times that are asked for (epoch ms). */
export function topicSpan(
  deps: Pick<ReadDeps, 'kafka'>,
  topics: readonly string[],
  { sinceMs, untilMs }: { sinceMs?: number | undefined; untilMs?: number | undefined },
): Promise<KeptSpan> {
  return withAdmin(deps, topics, async (admin) => {
    const from: Record<string, Record<number, number>> = {}
    const until: Record<string, Record<number, number>> = {}
    const kept: Record<string, Record<number, number>> = {}
    let offsets = 0
    const at = async (topic: string, ms: number | undefined): Promise<TailOffsets[string] | undefined> =>
      ms === undefined
        ? undefined
        : byPartition(topic, await admin.fetchTopicOffsetsByTimestamp(topic, Math.max(0, Math.floor(ms))))[topic]
    for (const topic of topics) {
      const [since, to] = [await at(topic, sinceMs), await at(topic, untilMs)]
      const [starts, ends, lows]: Record<number, number>[] = [{}, {}, {}]
      for (const { partition, low, high } of await admin.fetchTopicOffsets(topic)) {
        lows![partition] = Number(low)
        const start = (starts![partition] = Math.max(Number(low), since?.[partition] ?? 0))
        const end = (ends![partition] = Math.min(Number(high), to?.[partition] ?? Infinity))
        offsets += Math.max(0, end - start)
      }
      from[topic] = starts!
      until[topic] = ends!
      kept[topic] = lows!
    }
    return { from, until, offsets, kept }
  })
}

/** Of a span, from the first to the last of these places in each partition. */
export function narrowSpan(span: TopicSpan, places: readonly RecordPlace[]): TopicSpan {
  const from: Record<string, Record<number, number>> = {}
  const until: Record<string, Record<number, number>> = {}
  let offsets = 0
  const byTopic = Map.groupBy(places, ({ topic }) => topic)
  for (const [topic, ends] of Object.entries(span.until)) {
    const [starts, stops]: Record<number, number>[] = [{}, {}]
    const byPartition = Map.groupBy(byTopic.get(topic) ?? [], ({ partition }) => partition)
    for (const [text, end] of Object.entries(ends)) {
      const partition = Number(text)
      const inside = byPartition.get(partition) ?? []
      const first = inside.reduce((least, { offset }) => Math.min(least, offset), end)
      const last = inside.reduce((most, { offset }) => Math.max(most, offset), -1)
      const start = (starts![partition] = Math.max(span.from[topic]?.[partition] ?? 0, first))
      const stop = (stops![partition] = Math.min(end, Math.max(last + 1, start)))
      offsets += stop - start
    }
    from[topic] = starts!
    until[topic] = stops!
  }
  return { from, until, offsets }
}

export interface ReadRangeOptions {
  topics: readonly string[]
  from: 'beginning' | TailOffsets
  /** Ends there, and not at the end: the next offset of each partition. */
  until?: TailOffsets
  /** One after the other. What it throws ends the reading. */
  onRecord?: (record: InboundRecord) => void | Promise<void>
  /** As `onRecord`, a fetch at a time: for who reads by the million. Nothing else is fetched while it waits. */
  onRecords?: (records: readonly InboundRecord[]) => void | Promise<void>
  /** Goes on after the end, until the signal aborts. */
  follow?: boolean
  /** Ends the reading early, and well. */
  enough?: AbortSignal
  signal?: AbortSignal | undefined
}

/** Reads what is committed in the topics now, then ends. Throws the signal's reason, or what a callback throws. */
export async function readRange(deps: ReadDeps, options: ReadRangeOptions): Promise<void> {
  const { signal, enough, follow = false, onRecord, onRecords, ...range } = options
  signal?.throwIfAborted()
  const stop = Promise.withResolvers<void>()
  const aborted = (): void => stop.reject(signal?.reason)
  const finish = (): void => stop.resolve()
  if (isEmptyRange(range) || enough?.aborted) return
  stop.promise.catch(() => {})
  let failed = false
  signal?.addEventListener('abort', aborted, { once: true })
  enough?.addEventListener('abort', finish, { once: true })
  const unlessEnded =
    <T>(give: (what: T) => void | Promise<void>) =>
    async (what: T): Promise<void> => {
      if (enough?.aborted || failed) return
      try {
        await give(what)
      } catch (error) {
        failed = true
        stop.reject(error)
      }
    }
  const tail = createTail(deps, {
    ...range,
    groupPrefix: 'shunt-read',
    ...(onRecord && { onRecord: unlessEnded(onRecord) }),
    ...(onRecords && { onRecords: unlessEnded(onRecords) }),
  })
  try {
    await Promise.race([tail.caughtUp, stop.promise])
    if (follow || failed) await stop.promise
  } finally {
    signal?.removeEventListener('abort', aborted)
    enough?.removeEventListener('abort', finish)
    await tail.stop()
  }
}

/** Nothing lies below the ends that are named. */
function isEmptyRange({ from, until }: Pick<ReadRangeOptions, 'from' | 'until'>): boolean {
  if (!until) return false
  const starts = from === 'beginning' ? {} : from
  return Object.entries(until).every(([topic, ends]) =>
    Object.entries(ends).every(([partition, end]) => end <= (starts[topic]?.[Number(partition)] ?? 0)),
  )
}
