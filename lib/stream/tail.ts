import type { Logger } from '#lib/telemetry/logger'
import { abortable } from './abortable.ts'
import { createConsumerLoop } from './consumer-loop.ts'
import { consumerConfig, throwAwayGroup, type KafkaFactory } from './kafka.ts'
import type { InboundRecord } from './types.ts'

/** A broker that is away holds up nobody who stops. */
const deleteTimeoutMs = 2_000

/** Offset to start from, by topic and partition; a partition that is not named starts at its beginning. */
export type TailOffsets = Readonly<Record<string, Readonly<Record<number, number>>>>

export interface TailOptions {
  topics: readonly string[]
  from: 'beginning' | 'end' | TailOffsets
  /** Ends there: the next offset of each partition. One that is not named goes on. */
  until?: TailOffsets | undefined
  /** Called in order, one record after the other; what it throws is logged and the record passed over. */
  onRecord?: (record: InboundRecord) => void | Promise<void>
  /** As `onRecord`, a fetch at a time: for who reads by the million. */
  onRecords?: (records: readonly InboundRecord[]) => void | Promise<void>
  /** Start of the group's name, which ends in a random one. @default 'shunt-tail' */
  groupPrefix?: string
}

export interface Tail {
  /**
   * Resolves when every record that was committed before the tail started, and is below `until`, has been given to
   * `onRecord`; a transaction open at that moment is waited for. With `end`: when the positions are fixed, so that nothing written later is missed.
   */
  caughtUp: Promise<void>
  /** Resolves once nothing more is read and the group is deleted. */
  stop(): Promise<void>
}

/**
 * Reads topics as they grow: committed records only, in a group of its own that is deleted at the end, and never commits
 * an offset. Survives the loss of its brokers: positions are its own. A partition added later is read from its start.
 */
export function createTail(
  deps: { kafka: KafkaFactory; log: Pick<Logger, 'warn' | 'info' | 'debug' | 'error'> },
  options: TailOptions,
): Tail {
  const { topics, until } = options
  const give = options.onRecords ?? oneByOne
  const group = throwAwayGroup(options.groupPrefix ?? 'shunt-tail')
  const stop = new AbortController()
  const caughtUp = Promise.withResolvers<void>()
  caughtUp.promise.catch(() => {})
  // Next offset by topic and partition, and what `caughtUp` waits for.
  const positions = new Map<string, number>()
  const awaited = new Map<string, number>()
  // Records are given one fetch after the other, also where a crash lets two consumers overlap.
  let turn = Promise.resolve()

  const loop = createConsumerLoop(deps, {
    clientId: group,
    config: consumerConfig(group),
    topics,
    events: {
      heartbeat: () => {},
      left: () => {},
      joined(assignment) {
        for (const [topic, partitions] of assignment)
          for (const partition of partitions) {
            loop.seek(topic, partition, positions.get(`${topic}/${partition}`) ?? 0)
            pauseAtEnd(topic, partition)
          }
      },
      async fetched({ topic, partition, fetchedOffset, lastOffset, records }) {
        const key = `${topic}/${partition}`
        const position = positions.get(key) ?? 0
        // After retention moved the log's start past us, the consumer goes on from there, and so do we: also where it finds
        // nothing but control records, since those may be the last that `caughtUp` waits for.
        if (fetchedOffset > position)
          deps.log.debug({ topic, partition, position, fetchedOffset }, 'tail skips offsets that are gone')
        const end = endOf(topic, partition)
        const wanted = records.filter(({ offset }) => offset >= position && offset < end)
        const next = Math.max(position, lastOffset + 1)
        // Before they are given: a consumer that comes after a crash goes on behind them, while they are still worked on.
        positions.set(key, next)
        pauseAtEnd(topic, partition)
        turn = turn.then(() => giveUnlessStopped(wanted))
        await turn
        noteProgress(key, next)
      },
    },
  })

  async function giveUnlessStopped(records: readonly InboundRecord[]): Promise<void> {
    if (records.length === 0 || stop.signal.aborted) return
    try {
      await give(records)
    } catch (error) {
      const { topic, partition, offset } = records[0]!
      deps.log.error({ topic, partition, offset, err: error }, 'tail cannot take records')
    }
  }

  async function oneByOne(records: readonly InboundRecord[]): Promise<void> {
    for (const record of records) {
      if (stop.signal.aborted) return
      try {
        await options.onRecord?.(record)
      } catch (error) {
        const { topic, partition, offset } = record
        deps.log.error({ topic, partition, offset, err: error }, 'tail cannot take a record')
      }
    }
  }

  function endOf(topic: string, partition: number): number {
    return until?.[topic]?.[partition] ?? Infinity
  }

  /** What lies beyond the end is not even fetched. */
  function pauseAtEnd(topic: string, partition: number): void {
    if ((positions.get(`${topic}/${partition}`) ?? 0) >= endOf(topic, partition)) loop.pause(topic, partition)
  }

  function noteProgress(key: string, position: number): void {
    const end = awaited.get(key)
    if (end === undefined || position < end) return
    awaited.delete(key)
    if (awaited.size === 0) caughtUp.resolve()
  }

  async function fixPositions(): Promise<void> {
    const admin = deps.kafka(group).admin()
    try {
      await admin.connect()
      for (const topic of topics)
        for (const { partition, low, high } of await admin.fetchTopicOffsets(topic)) {
          const key = `${topic}/${partition}`
          const asked = typeof options.from === 'string' ? undefined : options.from[topic]?.[partition]
          const start = options.from === 'end' ? Number(high) : Math.max(Number(low), asked ?? 0)
          positions.set(key, start)
          const end = Math.min(Number(high), endOf(topic, partition))
          if (start < end) awaited.set(key, end)
        }
    } finally {
      await admin.disconnect().catch(() => {})
    }
  }

  async function run(): Promise<void> {
    for (let tries = 1; !stop.signal.aborted; tries++) {
      try {
        await abortable(fixPositions(), stop.signal)
        break
      } catch (error) {
        if (stop.signal.aborted) break
        // Right after a topic was made, or a broker came back, nobody leads its partitions for a moment.
        deps.log[tries < 10 ? 'debug' : 'warn']({ topics, err: error, tries }, 'tail cannot read where the topics end')
        await pause(Math.min(5_000, 200 * tries), stop.signal)
      }
    }
    if (awaited.size === 0 && !stop.signal.aborted) caughtUp.resolve()
    await loop.run(stop.signal)
    caughtUp.reject(new Error('the tail was stopped'))
  }

  const running = run()
  return {
    caughtUp: caughtUp.promise,
    async stop() {
      stop.abort()
      await running
      const admin = deps.kafka(group).admin()
      try {
        await abortable(
          admin.connect().then(() => admin.deleteGroups([group])),
          AbortSignal.timeout(deleteTimeoutMs),
        )
      } catch (error) {
        // The broker drops it by itself: an empty group without offsets does not last.
        deps.log.debug({ group, err: error }, 'group of a tail was not deleted')
      } finally {
        await admin.disconnect().catch(() => {})
      }
    },
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer)
        resolve()
      },
      { once: true },
    )
  })
}
