import { setTimeout as sleep } from 'node:timers/promises'
import { CompressionTypes } from 'kafkajs'
import { asShuntError } from '#lib/client/publisher'
import { readBatches } from '#lib/client/range-batches'
import { endOffsets, readRange, type ReadDeps } from '#lib/client/topic-range'
import { inNamespace, outOfNamespace } from '#lib/events/topics'
import type { RecordedAnswers } from '#lib/ledger/recorded-answers'
import type { RecordedAnswer } from '#lib/models/recorded-chat'
import { replayHeaders } from '#lib/stream/carried-headers'
import { producerConfig } from '#lib/stream/kafka'
import type { InboundRecord } from '#lib/stream/types'
import type { StepCopy } from './copy-step.ts'
import { sourceTopics, type ReplaySpan } from './range.ts'

/** How far a replay's copying has come, as its own records tell. */
export interface CopiedSoFar {
  count: number
  /** By bare topic and partition: the offset of the range that comes next. */
  next: Record<string, Record<number, number>>
}

/**
 * Copies lie in the partition of what they were copied from, in its order, and each names it: the last one of a partition
 * tells where to go on. Nobody else writes there.
 */
export async function readCopied(
  deps: ReadDeps,
  { namespace, span, signal }: { namespace: string; span: ReplaySpan; signal: AbortSignal },
): Promise<CopiedSoFar> {
  const topics = sourceTopics.map((topic) => inNamespace(namespace, topic))
  const ends = await endOffsets(deps, topics)
  const copied: CopiedSoFar = { count: 0, next: structuredClone(span.from) }
  const lasts: Record<string, Record<number, number>> = {}
  for (const [topic, partitions] of Object.entries(ends)) {
    const last: Record<number, number> = (lasts[topic] = {})
    for (const [partition, end] of Object.entries(partitions)) {
      last[Number(partition)] = Math.max(0, end - 1)
      copied.count += end
    }
  }
  await readRange(deps, {
    topics,
    from: lasts,
    until: ends,
    signal,
    onRecord({ topic, partition, headers }) {
      const offset = Number(/\/(\d+)$/.exec(headers[replayHeaders.source]?.toString() ?? '')?.[1])
      if (Number.isSafeInteger(offset)) copied.next[outOfNamespace(namespace, topic)!]![partition] = offset + 1
    },
  })
  return copied
}

export interface CopyRangeDeps extends ReadDeps {
  /** Null for a record that the range leaves out. Throws what is retryable. */
  copyStep: (record: InboundRecord) => Promise<StepCopy | null>
  /** What the frontier is to answer, served in the replay; null for nothing. */
  recordedAnswer: (source: string) => RecordedAnswer | null
  answers: Pick<RecordedAnswers, 'add'>
}

export interface CopyRangeOptions {
  /** The live namespace. */
  from: string
  span: ReplaySpan
  copied: CopiedSoFar
  /**
   * Copies that may be under way at a time. A step's time runs from its copy on, so that what stands in a lane for long
   * would expire; and recorded answers lie in Redis until their steps have ended.
   */
  maxInFlight: number
  /** Copies that have come to their end. */
  ended: () => number
  /** Told how many there are now. */
  onCopied: (count: number) => void
  signal: AbortSignal
}

const mostInBatch = 64
/** Before compression: a batch counts against max.message.bytes as one. */
const mostBatchBytes = 500_000
const lookMs = 20

/** Copies what is left of a range. Returns the number of all copies. Throws the signal's reason. */
export async function copyRange(deps: CopyRangeDeps, options: CopyRangeOptions): Promise<number> {
  const { signal, span, maxInFlight } = options
  let { count } = options.copied
  let batch: StepCopy[] = []
  let bytes = 0
  const producer = deps.kafka('shunt-replay').producer(producerConfig())

  async function flush(): Promise<void> {
    if (batch.length === 0) return
    while (count - options.ended() + batch.length > Math.max(maxInFlight, batch.length))
      await sleep(lookMs, undefined, { signal })
    signal.throwIfAborted()
    const answers = batch.flatMap(({ step, source }) => {
      const answer = step && deps.recordedAnswer(source)
      return step && answer ? [{ step, answer }] : []
    })
    // Before the steps: the frontier may ask at once.
    await deps.answers.add(answers)
    const topicMessages = [...Map.groupBy(batch, ({ topic }) => topic)].map(([topic, copies]) => ({
      topic,
      messages: copies.map(({ partition, key, value, headers }) => ({ partition, key, value, headers })),
    }))
    await producer.sendBatch({ acks: -1, compression: CompressionTypes.GZIP, topicMessages })
    count += batch.length
    batch = []
    bytes = 0
    options.onCopied(count)
  }

  try {
    await producer.connect()
    const range = {
      topics: Object.keys(span.until).map((topic) => inNamespace(options.from, topic)),
      from: named(options.from, options.copied.next),
      until: named(options.from, span.until),
      signal,
    }
    for await (const records of readBatches(deps, range))
      for (const record of records) {
        const copy = await deps.copyStep(record)
        if (!copy) continue
        const size = copy.value?.length ?? 0
        if (bytes + size > mostBatchBytes) await flush()
        batch.push(copy)
        bytes += size
        if (batch.length >= Math.min(mostInBatch, maxInFlight)) await flush()
      }
    await flush()
    return count
  } catch (error) {
    signal.throwIfAborted()
    throw asShuntError(error)
  } finally {
    await producer.disconnect().catch(() => {})
  }
}

function named(namespace: string, offsets: ReplaySpan['from']): ReplaySpan['from'] {
  return Object.fromEntries(
    Object.entries(offsets).map(([topic, partitions]) => [inNamespace(namespace, topic), partitions]),
  )
}
