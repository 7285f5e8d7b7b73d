import { createConsumerLoop, type Fetched } from '#lib/stream/consumer-loop'
import { abortable } from '#lib/stream/abortable'
import { consumerConfig, throwAwayGroup } from '#lib/stream/kafka'
import type { InboundRecord } from '#lib/stream/types'
import { withAdmin, type ReadDeps } from './topic-range.ts'

/** Offsets of a partition: from the first up to and without the last. */
export interface Span {
  topic: string
  partition: number
  from: number
  until: number
}

/** Reads pieces of topics, again and again, through one consumer: joining a group for each would cost seconds. */
export interface SpanReader extends AsyncDisposable {
  /**
   * Resolves when all records of the spans that are still there have been given. Spans of a partition are read in their
   * order; they must end at or below the end of the log. One call at a time.
   */
  read(spans: readonly Span[], onRecord: (record: InboundRecord) => void): Promise<void>
}

interface Reading {
  spans: Span[]
  position: number
  /** The consumer was sent to the position once more after a fetch from elsewhere. */
  sentAgain: boolean
}

/** While nothing is asked for, the consumer looks so often whether something is, ms. */
const idlePollMs = 20

export function openSpanReader(
  deps: ReadDeps,
  options: { topics: readonly string[]; signal?: AbortSignal | undefined },
): SpanReader {
  const group = throwAwayGroup('shunt-read')
  const stop = new AbortController()
  const readings = new Map<string, Reading>()
  let onRecord: (record: InboundRecord) => void = () => {}
  let done = Promise.withResolvers<void>()

  const loop = createConsumerLoop(deps, {
    clientId: group,
    config: { ...consumerConfig(group), maxWaitTimeInMs: idlePollMs },
    topics: options.topics,
    events: {
      heartbeat: () => {},
      left: () => {},
      joined(assignment) {
        for (const [topic, partitions] of assignment)
          for (const partition of partitions) {
            const reading = readings.get(`${topic}/${partition}`)
            if (reading) loop.seek(topic, partition, reading.position)
            else loop.pause(topic, partition)
          }
      },
      fetched,
    },
  })

  function fetched({ topic, partition, fetchedOffset, lastOffset, records }: Fetched): void {
    const key = `${topic}/${partition}`
    const reading = readings.get(key)
    if (!reading) return
    // A fetch that was under way when the reader was sent elsewhere; or retention took what was asked for, and the
    // consumer goes on where the log begins: then it does so again.
    if (fetchedOffset !== reading.position && !(reading.sentAgain && fetchedOffset > reading.position)) {
      reading.sentAgain = true
      return loop.seek(topic, partition, reading.position)
    }
    const { until } = reading.spans[0]!
    for (const record of records) if (record.offset >= reading.position && record.offset < until) onRecord(record)
    reading.position = Math.max(reading.position, lastOffset + 1)
    reading.sentAgain = false
    while (reading.spans.length > 0 && reading.spans[0]!.until <= reading.position) reading.spans.shift()
    const next = reading.spans[0]
    if (!next) {
      readings.delete(key)
      loop.pause(topic, partition)
      if (readings.size === 0) done.resolve()
    } else if (next.from > reading.position) {
      reading.position = next.from
      loop.seek(topic, partition, next.from)
    }
  }

  const running = loop.run(stop.signal)
  return {
    async read(spans, give) {
      options.signal?.throwIfAborted()
      for (const span of spans) {
        if (span.from >= span.until) continue
        const key = `${span.topic}/${span.partition}`
        const reading = readings.get(key)
        if (reading) reading.spans.push(span)
        else readings.set(key, { spans: [span], position: span.from, sentAgain: false })
      }
      if (readings.size === 0) return
      onRecord = give
      done = Promise.withResolvers()
      for (const {
        spans: [first],
      } of readings.values()) {
        loop.seek(first!.topic, first!.partition, first!.from)
        loop.resume(first!.topic, first!.partition)
      }
      await (options.signal ? abortable(done.promise, options.signal) : done.promise)
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
      await withAdmin(deps, [], (admin) => admin.deleteGroups([group])).catch((err: unknown) => {
        // The broker drops it by itself: an empty group without offsets does not last.
        deps.log.debug({ group, err }, 'group of a reader was not deleted')
      })
    },
  }
}
