import type { SourceRange } from '#lib/audit/source'
import { topicSpan, type ReadDeps } from '#lib/client/topic-range'
import { inNamespace } from '#lib/events/topics'

export interface ExportTimes {
  /** Epoch ms. */
  sinceMs?: number | undefined
  /** Exclusive. */
  untilMs?: number | undefined
}

/**
 * The times as offsets of agent.audit: where the first record of that time lies. Writers' clocks differ, so a partition's
 * times need not ascend; by offsets, exports of one month after the other hold each record once, and chains do not break
 * in between. Throws SHUNT_KAFKA_UNAVAILABLE (retryable), SHUNT_TOPICS_NOT_APPLIED.
 */
export async function exportRange(
  deps: Pick<ReadDeps, 'kafka'>,
  namespace: string,
  times: ExportTimes,
): Promise<ExportTimes & Required<Pick<SourceRange, 'offsets'>>> {
  const topic = inNamespace(namespace, 'agent.audit')
  const { from, until } = await topicSpan(deps, [topic], times)
  const offsets = Object.entries(until[topic] ?? {}).map(([text, end]) => {
    const partition = Number(text)
    return [partition, { from: from[topic]?.[partition] ?? 0, until: end }] as const
  })
  return { ...times, offsets: new Map(offsets) }
}
