import { formatOrigin } from '#lib/audit/records'
import { openSpanReader, type Span, type SpanReader } from '#lib/client/span-reader'
import { topicSpan, type ReadDeps } from '#lib/client/topic-range'
import type { RecordPlace } from '#lib/client/waits'
import { inNamespace } from '#lib/events/topics'
import type { InboundRecord } from '#lib/stream/types'

/** The steps' own records, where they are still kept. */
export interface StepTexts extends AsyncDisposable {
  /** By `topic/partition/offset`; undefined where the record lies below its topic's start. What is missing is not there. */
  read(places: readonly RecordPlace[]): Promise<ReadonlyMap<string, InboundRecord | 'expired'>>
}

/** Up to so many records that nobody asked for are read rather than skipped: another fetch costs more. */
const widestGap = 500

/**
 * Reads them from agent.steps and its twin, in step with who asks: memory goes with what is asked for at a time. Opens
 * nothing before it is asked: who reads an export and needs no texts needs no Kafka.
 */
export function openStepTexts(
  deps: ReadDeps,
  options: { namespace: string; signal?: AbortSignal | undefined },
): StepTexts {
  const topics = [inNamespace(options.namespace, 'agent.steps'), inNamespace(options.namespace, 'agent.steps.batch')]
  let reader: SpanReader | undefined
  return {
    async read(places) {
      const { from: starts, until: ends } = await topicSpan(deps, topics, {})
      const found = new Map<string, InboundRecord | 'expired'>()
      const kept = places.filter(({ topic, partition, offset }) => {
        const [start, end] = [starts[topic]?.[partition], ends[topic]?.[partition]]
        if (start === undefined || end === undefined || offset >= end) return false
        if (offset < start) found.set(formatOrigin({ topic, partition, offset }), 'expired')
        return offset >= start
      })
      if (kept.length === 0) return found
      const wanted = new Set(kept.map(formatOrigin))
      reader ??= openSpanReader(deps, { topics, signal: options.signal })
      await reader.read(spansOf(kept), (record) => {
        const place = formatOrigin(record)
        if (wanted.has(place)) found.set(place, ownBytes(record))
      })
      return found
    },
    async [Symbol.asyncDispose]() {
      await reader?.[Symbol.asyncDispose]()
    },
  }
}

/** What the client gives is a view of all that it fetched with it, which would stay as long as the record does. */
function ownBytes(record: InboundRecord): InboundRecord {
  const own = <T>(bytes: T): T | Buffer => (Buffer.isBuffer(bytes) ? Buffer.from(bytes) : bytes)
  const headers = Object.fromEntries(Object.entries(record.headers).map(([name, value]) => [name, own(value)]))
  return { ...record, key: own(record.key), value: own(record.value), headers }
}

/** As few spans as cover the places, without long stretches of what nobody asked for. Pure. */
export function spansOf(places: readonly RecordPlace[]): Span[] {
  const byPartition = Map.groupBy(places, ({ topic, partition }) => `${topic}/${partition}`)
  return [...byPartition.values()].flatMap((inside) => {
    const offsets = inside.map(({ offset }) => offset).toSorted((a, b) => a - b)
    const { topic, partition } = inside[0]!
    const spans: Span[] = []
    for (const offset of offsets) {
      const last = spans.at(-1)
      if (last && offset - last.until <= widestGap) last.until = Math.max(last.until, offset + 1)
      else spans.push({ topic, partition, from: offset, until: offset + 1 })
    }
    return spans
  })
}
