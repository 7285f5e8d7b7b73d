import { listResultsTopics } from '#lib/client/results-topics'
import { readBatches } from '#lib/client/range-batches'
import { topicSpan, type KeptSpan, type ReadDeps, type TopicSpan } from '#lib/client/topic-range'
import { isRetryable } from '#lib/errors'
import type { Codec } from '#lib/events/codec'
import { parseFeedback } from '#lib/events/parse-step'
import type { Registry } from '#lib/events/registry'
import { inNamespace } from '#lib/events/topics'
import type { StepResult } from '#lib/events/types.generated'
import type { InboundRecord } from '#lib/stream/types'
import { auditEntry } from './audit-entry.ts'
import type {
  AuditEntry,
  AuditSource,
  FeedbackEntry,
  ResultEntry,
  SourcePlace,
  SourceRange,
  SourceReading,
} from './source.ts'

export interface KafkaSourceDeps extends ReadDeps {
  codec: Pick<Codec, 'decode' | 'decodeNow' | 'peekString'>
  registry: Pick<Registry, 'schemaById'>
}

/** The log where it was written. Opens nothing: each reading has a group of its own, which ends with it. */
export function openKafkaSource(deps: KafkaSourceDeps, namespace: string): AuditSource {
  const { codec } = deps
  const audit = inNamespace(namespace, 'agent.audit')

  async function* read<Entry>(
    topics: readonly string[],
    range: SourceRange,
    { signal, onTotal, onStarts, onProgress }: SourceReading,
    entryOf: (record: InboundRecord, place: SourcePlace) => Entry | null | Promise<Entry | null>,
  ): AsyncGenerator<readonly Entry[]> {
    const whole = await topicSpan(deps, topics, range)
    const { from, until, offsets } = range.offsets || range.resumeAt ? within(whole, audit, range) : whole
    onTotal?.(offsets)
    onStarts?.(startsOf(whole, namespace))
    const { sinceMs = -Infinity, untilMs = Infinity } = range
    for await (const records of readBatches(deps, { topics, from, until, signal })) {
      const entries: Entry[] = []
      for (const record of records) {
        // Timestamps of a partition need not ascend: the span is only where to look.
        if (record.timestampMs < sinceMs || record.timestampMs >= untilMs) continue
        const read = entryOf(record, placeOf(record, namespace))
        const entry = read instanceof Promise ? await read : read
        if (entry !== null) entries.push(entry)
      }
      onProgress?.(records.length)
      if (entries.length > 0) yield entries
    }
  }

  /** Null, with a line in the log, for what is none of the topic's values. */
  async function unlessUnreadable<Value>(place: SourcePlace, reading: Promise<Value>): Promise<Value | null> {
    try {
      return await reading
    } catch (err) {
      if (isRetryable(err)) throw err
      deps.log.warn({ err, ...place }, 'a record cannot be read')
      return null
    }
  }

  return {
    name: audit,
    codec,
    schemaById: deps.registry.schemaById,
    audit(range, reading = {}) {
      const wanted = reading.types && new Set<string>(reading.types)
      return read<AuditEntry>([audit], range, reading, ({ value }, place) => {
        const type = wanted && value && codec.peekString('audit-record', 'type', value)
        return type && !wanted.has(type) ? null : auditEntry(codec, value, place)
      })
    },

    async *results(range, reading = {}) {
      const topics = await listResultsTopics(deps, namespace)
      yield* read<ResultEntry>(topics, ofTimes(range), reading, async ({ value }, place) => {
        const result = await unlessUnreadable(place, codec.decode('step-result', value))
        return result && resultEntry(result, place)
      })
    },

    feedback: (range, reading = {}) =>
      read<FeedbackEntry>(
        [inNamespace(namespace, 'agent.feedback')],
        ofTimes(range),
        reading,
        async (record, place) => {
          const feedback = await unlessUnreadable(place, parseFeedback(record, codec))
          return feedback && { ...place, feedback }
        },
      ),

    policies: () =>
      read([inNamespace(namespace, 'agent.policies')], {}, {}, ({ value }, place) =>
        // One without a value removes its key.
        value === null ? null : unlessUnreadable(place, codec.decode('policy-record', value)),
      ),

    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

function resultEntry(result: StepResult, place: SourcePlace): ResultEntry {
  const { tenantId, taskId, stepId, origin, status, code, attempts, costMicroUsd, finishedAtMs } = result
  return {
    ...place,
    tenantId,
    taskId,
    stepId,
    origin,
    status,
    code,
    attempts: attempts.length,
    costMicroUsd,
    finishedAtMs,
  }
}

function placeOf({ topic, partition, offset, timestampMs }: InboundRecord, namespace: string): SourcePlace {
  return { topic: withoutNamespace(namespace, topic), partition, offset, timestampMs }
}

function startsOf({ kept }: KeptSpan, namespace: string): Map<string, number> {
  const starts = Object.entries(kept).flatMap(([topic, partitions]) =>
    Object.entries(partitions).map(
      ([partition, offset]) => [`${withoutNamespace(namespace, topic)}/${partition}`, offset] as const,
    ),
  )
  return new Map(starts)
}

function withoutNamespace(namespace: string, topic: string): string {
  return namespace === '' ? topic : topic.slice(namespace.length + 1)
}

/** Offsets are those of agent.audit alone. */
function ofTimes({ sinceMs, untilMs }: SourceRange): SourceRange {
  return { sinceMs, untilMs }
}

/** The part of a topic's span that lies within the bounds; partitions without any are left out. */
function within(span: TopicSpan, topic: string, { offsets: bounds, resumeAt }: SourceRange): TopicSpan {
  const starts: Record<number, number> = {}
  const ends: Record<number, number> = {}
  let offsets = 0
  for (const [text, high] of Object.entries(span.until[topic] ?? {})) {
    const partition = Number(text)
    const asked = bounds ? bounds.get(partition) : {}
    const end = asked ? Math.min(high, asked.until ?? high) : high
    const low = Math.max(span.from[topic]?.[partition] ?? 0, resumeAt?.get(partition) ?? 0)
    const start = asked ? Math.max(low, asked.from ?? 0) : high
    starts[partition] = Math.min(start, end)
    ends[partition] = end
    offsets += ends[partition] - starts[partition]
  }
  return { from: { [topic]: starts }, until: { [topic]: ends }, offsets }
}
