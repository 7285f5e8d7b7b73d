import { readRange, topicSpan, type ReadDeps } from '#lib/client/topic-range'
import { listResultsTopics } from '#lib/client/results-topics'
import { decodeResult } from '#lib/client/decode-result'
import { formatOrigin } from '#lib/audit/records'
import type { Codec } from '#lib/events/codec'

/** Clocks of services and brokers may differ by so much, ms. */
const clockSkewMs = 600_000

/**
 * How the steps of these records ended, by `topic/partition/offset`. A dead letter and the result that it led to are
 * written in one transaction, so only the results of the letters' own times are read.
 */
export async function readStepEnds(
  deps: ReadDeps & { codec: Codec },
  wanted: ReadonlySet<string>,
  options: { namespace: string; signal: AbortSignal; fromMs: number; untilMs: number },
): Promise<Map<string, string>> {
  const ends = new Map<string, string>()
  if (wanted.size === 0) return ends
  const topics = await listResultsTopics(deps, options.namespace)
  const { from, until } = await topicSpan(deps, topics, {
    sinceMs: options.fromMs - clockSkewMs,
    untilMs: options.untilMs + clockSkewMs,
  })
  await readRange(deps, {
    topics,
    from,
    until,
    signal: options.signal,
    async onRecord(record) {
      const result = await decodeResult(deps, record)
      const origin = result && formatOrigin(result.origin)
      if (origin !== undefined && wanted.has(origin)) ends.set(origin, result!.status)
    },
  })
  return ends
}
