import type {
  AuditEntry,
  AuditSource,
  FeedbackEntry,
  ResultEntry,
  SourcePlace,
  SourceRange,
  SourceReading,
} from '#lib/audit/source'
import type { PolicyRecord } from '#lib/events/types.generated'
import { localCodec, localRegistry } from './local-codec.ts'

export interface MemoryLog {
  audit?: readonly AuditEntry[]
  results?: readonly ResultEntry[]
  feedback?: readonly FeedbackEntry[]
  policies?: readonly PolicyRecord[]
  /** Where partitions begin, by `topic/partition`; not told where it is not given. */
  starts?: Readonly<Record<string, number>>
}

/** Small and odd, so that what spans batches is tried by any test of more than a few records. */
const batchSize = 7

/** A log that lies in arrays, in the order in which they give it; decoded by the real codec over a local registry. */
export async function memorySource(log: MemoryLog): Promise<AuditSource> {
  const codec = await localCodec()
  const tellStarts = (topic: string, reading: SourceReading = {}): void => {
    const starts = Object.entries(log.starts ?? {}).filter(([name]) => name.startsWith(`${topic}/`))
    if (log.starts) reading.onStarts?.(new Map(starts))
  }
  return {
    name: 'memory',
    codec,
    schemaById: (id) => localRegistry().schemaById(id),
    audit({ sinceMs, untilMs, offsets, resumeAt }, reading) {
      tellStarts('agent.audit', reading)
      return batchesOf(
        (log.audit ?? []).filter(
          (entry) => isWithin(entry, { sinceMs, untilMs }) && isAmong(entry, offsets) && isAhead(entry, resumeAt),
        ),
        reading,
      )
    },
    results(range, reading) {
      tellStarts('agent.results', reading)
      return batchesOf(
        (log.results ?? []).filter((entry) => isWithin(entry, range)),
        reading,
      )
    },
    feedback: (range, reading) =>
      batchesOf(
        (log.feedback ?? []).filter((entry) => isWithin(entry, range)),
        reading,
      ),
    policies: () => batchesOf(log.policies ?? []),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

function isWithin({ timestampMs }: SourcePlace, { sinceMs, untilMs }: SourceRange): boolean {
  return timestampMs >= (sinceMs ?? -Infinity) && timestampMs < (untilMs ?? Infinity)
}

function isAmong({ partition, offset }: SourcePlace, offsets: SourceRange['offsets']): boolean {
  if (!offsets) return true
  const bounds = offsets.get(partition)
  return bounds !== undefined && offset >= (bounds.from ?? 0) && offset < (bounds.until ?? Infinity)
}

function isAhead({ partition, offset }: SourcePlace, resumeAt: SourceRange['resumeAt']): boolean {
  return offset >= (resumeAt?.get(partition) ?? 0)
}

async function* batchesOf<Entry>(
  entries: readonly Entry[],
  reading: SourceReading = {},
): AsyncGenerator<readonly Entry[]> {
  reading.onTotal?.(entries.length)
  for (let at = 0; at < entries.length; at += batchSize) {
    reading.signal?.throwIfAborted()
    // As a source that waits for its next batch: what its reader does meanwhile is seen.
    yield await Promise.resolve(entries.slice(at, at + batchSize))
  }
}
