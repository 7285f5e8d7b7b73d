import { setTimeout as sleep } from 'node:timers/promises'
import { ShuntError } from '#lib/errors'
import type { Keys } from '#lib/erasure/step-texts'
import type { Codec } from '#lib/events/codec'
import { inNamespace } from '#lib/events/topics'
import { createTail, type TailOffsets } from '#lib/stream/tail'
import type { InboundRecord } from '#lib/stream/types'
import { decodeResult, openResult } from './decode-result.ts'
import type { Publications } from './publications.ts'
import { listResultsTopics } from './results-topics.ts'
import { endOffsets, offsetsSince, readRange, withAdmin, type ReadDeps } from './topic-range.ts'

export interface EarlierResultsDeps extends ReadDeps {
  codec: Codec
  keys?: Keys
}

/** Clocks of publishers and brokers may differ by so much, ms. */
const clockSkewMs = 600_000
/** Between two tries of a look back, ms. */
const retryMs = 1_000

/**
 * Results that a run's own ear for results cannot hear, since they were written before it began: a step that is
 * published again gets no second result. Its DuplicateRecord in agent.audit names the record that won; the step's
 * result is not older than that one, so results are read from there. A look for old results that went by a fixed
 * time would either read a day of them on every run or miss those of a policy with a longer window.
 */
export interface EarlierResults {
  /** Offers the results of steps of `publications` that turn out to be duplicates. Returns how to stop. */
  follow(publications: Publications): () => Promise<void>
  /** Offers every result that was written since this was created, up to now. */
  readSinceStart(publications: Publications): Promise<void>
  close(): Promise<void>
}

interface Followed {
  publications: Publications
  /** Places of records whose results are still to be looked for. */
  firsts: string[]
  ended: AbortController
}

/** Throws SHUNT_KAFKA_UNAVAILABLE (retryable) or SHUNT_TOPICS_NOT_APPLIED. */
export async function createEarlierResults(
  deps: EarlierResultsDeps,
  { namespace }: { namespace: string },
): Promise<EarlierResults> {
  const topics = await listResultsTopics(deps, namespace)
  const start = await endOffsets(deps, topics)
  let followed: Followed | undefined
  let lookBack: Promise<void> | undefined
  const closing = new AbortController()

  async function offerFrom(from: TailOffsets, publications: Publications, signal: AbortSignal): Promise<void> {
    const onRecord = async (record: InboundRecord): Promise<void> => {
      const result = await decodeResult(deps, record)
      if (result) publications.offer(await openResult(deps, result), record)
    }
    await readRange(deps, { topics, from, onRecord, signal })
  }

  /** One reading for all duplicates that came during the one before; one that fails is tried again until the end. */
  async function lookBackFor({ publications, firsts, ended: { signal } }: Followed): Promise<void> {
    while (firsts.length > 0 && !signal.aborted) {
      const places = firsts.splice(0)
      try {
        const sinceMs = (await oldestTimestamp(deps, places, signal)) - clockSkewMs
        await offerFrom(await offsetsSince(deps, topics, sinceMs), publications, signal)
      } catch (err) {
        if (signal.aborted) return
        deps.log.warn({ err }, 'earlier results cannot be read; trying again')
        firsts.push(...places)
        await sleep(retryMs, undefined, { signal }).catch(() => {})
      }
    }
  }

  function startLookBack(target: Followed): void {
    lookBack ??= lookBackFor(target).finally(() => {
      lookBack = undefined
      if (target.firsts.length > 0 && !target.ended.signal.aborted) startLookBack(target)
    })
  }

  async function end(target: Followed | undefined): Promise<void> {
    followed = undefined
    target?.ended.abort(new ShuntError('SHUNT_AWAIT_TIMEOUT', 'closed'))
    await lookBack
  }

  const audit = createTail(deps, {
    topics: [inNamespace(namespace, 'agent.audit')],
    from: 'end',
    groupPrefix: 'shunt-duplicates',
    async onRecord(record) {
      if (record.value === null || !followed) return
      const { type, body } = await deps.codec.decode('audit-record', record.value)
      if (type !== 'duplicate') return
      const duplicate = await deps.codec.decode('duplicate-record', body)
      if (!followed?.publications.duplicate(duplicate)) return
      followed.firsts.push(duplicate.first)
      startLookBack(followed)
    },
  })
  await audit.caughtUp

  return {
    follow(publications) {
      const target = { publications, firsts: [], ended: new AbortController() }
      followed = target
      return () => end(target)
    },
    readSinceStart: (publications) => offerFrom(start, publications, closing.signal),
    async close() {
      closing.abort(new ShuntError('SHUNT_AWAIT_TIMEOUT', 'closed'))
      await end(followed)
      await audit.stop()
    },
  }
}

/** Of the oldest record of each partition, `topic/partition/offset` each. 0 where retention has taken one. */
async function oldestTimestamp(deps: ReadDeps, places: readonly string[], signal: AbortSignal): Promise<number> {
  const oldest = new Map<string, Map<number, number>>()
  for (const place of places) {
    const [topic = '', partition, offset] = place.split('/')
    const offsets = oldest.get(topic) ?? new Map<number, number>()
    offsets.set(Number(partition), Math.min(offsets.get(Number(partition)) ?? Infinity, Number(offset)))
    oldest.set(topic, offsets)
  }
  const times = await Promise.all([...oldest].map(([topic, offsets]) => oldestInTopic(deps, topic, offsets, signal)))
  return Math.min(Date.now(), ...times)
}

async function oldestInTopic(
  deps: ReadDeps,
  topic: string,
  offsets: ReadonlyMap<number, number>,
  signal: AbortSignal,
): Promise<number> {
  const ranges = await withAdmin(deps, [topic], (admin) => admin.fetchTopicOffsets(topic))
  const gone = ranges.some(({ partition, low }) => Number(low) > (offsets.get(partition) ?? Infinity))
  if (gone) return 0
  const from = Object.fromEntries(
    ranges.map(({ partition, high }) => [partition, offsets.get(partition) ?? Number(high)]),
  )
  const found = new Map<number, number>()
  const all = Promise.withResolvers<void>()
  const tail = createTail(deps, {
    topics: [topic],
    from: { [topic]: from },
    groupPrefix: 'shunt-read',
    onRecord: ({ partition, timestampMs }) => {
      if (!offsets.has(partition) || found.has(partition)) return
      found.set(partition, timestampMs)
      if (found.size === offsets.size) all.resolve()
    },
  })
  signal.addEventListener('abort', () => all.resolve(), { once: true })
  try {
    await Promise.race([all.promise, tail.caughtUp])
    return Math.min(...found.values())
  } finally {
    await tail.stop()
  }
}
