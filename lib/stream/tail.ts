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
  /** Called in order, one record after the other; what it throws is logged and the record passed over. */
  onRecord: (record: InboundRecord) => void | Promise<void>
  /** Start of the group's name, which ends in a random one. @default 'shunt-tail' */
  groupPrefix?: string
}

export interface Tail {
  /**
   * Resolves when every record that was committed before the tail started has been given to `onRecord`; a transaction
   * open at that moment is waited for. With `end`: when the positions are fixed, so that nothing written later is missed.
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
  const { topics, onRecord } = options
  const group = throwAwayGroup(options.groupPrefix ?? 'shunt-tail')
  const stop = new AbortController()
  const caughtUp = Promise.withResolvers<void>()
  caughtUp.promise.catch(() => {})
  // Next offset by topic and partition, and what `caughtUp` waits for.
  const positions = new Map<string, number>()
  const awaited = new Map<string, number>()

  const loop = createConsumerLoop(deps, {
    clientId: group,
    config: consumerConfig(group),
    topics,
    events: {
      heartbeat: () => {},
      left: () => {},
      joined(assignment) {
        for (const [topic, partitions] of assignment)
          for (const partition of partitions) loop.seek(topic, partition, positions.get(`${topic}/${partition}`) ?? 0)
      },
      async fetched({ topic, partition, fetchedOffset, lastOffset, records }) {
        const key = `${topic}/${partition}`
        const position = positions.get(key) ?? 0
        // After retention moved the log's start past us, the consumer goes on from there, and so do we: also where it finds
        // nothing but control records, since those may be the last that `caughtUp` waits for.
        if (fetchedOffset > position)
          deps.log.debug({ topic, partition, position, fetchedOffset }, 'tail skips offsets that are gone')
        for (const record of records) {
          if (record.offset < position || stop.signal.aborted) continue
          try {
            await onRecord(record)
          } catch (error) {
            deps.log.error({ topic, partition, offset: record.offset, err: error }, 'tail cannot take a record')
          }
          positions.set(key, record.offset + 1)
        }
        positions.set(key, Math.max(positions.get(key) ?? 0, lastOffset + 1))
        noteProgress(key)
      },
    },
  })

  function noteProgress(key: string): void {
    const end = awaited.get(key)
    if (end === undefined || (positions.get(key) ?? 0) < end) return
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
          if (start < Number(high)) awaited.set(key, Number(high))
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
