import type { Keys } from '#lib/erasure/step-texts'
import type { Codec } from '#lib/events/codec'
import type { StepResult } from '#lib/events/types.generated'
import type { InboundRecord } from '#lib/stream/types'
import { decodeResult, openResult } from './decode-result.ts'
import { listResultsTopics } from './results-topics.ts'
import { offsetsSince, readRange, type ReadDeps } from './topic-range.ts'

export interface ReadResultsOptions {
  namespace: string
  /** Epoch ms. @default all that is kept */
  sinceMs?: number
  /** Goes on after the end until `signal` aborts. */
  follow: boolean
  signal: AbortSignal
  onResult: (result: StepResult) => void
}

/** Results that are committed, each partition's in order. Throws SHUNT_KAFKA_UNAVAILABLE, SHUNT_TOPICS_NOT_APPLIED. */
export async function readResults(
  deps: ReadDeps & { codec: Codec; keys?: Keys },
  options: ReadResultsOptions,
): Promise<void> {
  const { namespace, sinceMs, follow, signal, onResult } = options
  const topics = await listResultsTopics(deps, namespace)
  const from = sinceMs === undefined ? 'beginning' : await offsetsSince(deps, topics, sinceMs)
  const onRecord = async (record: InboundRecord): Promise<void> => {
    const result = await decodeResult(deps, record)
    if (result) onResult(await openResult(deps, result))
  }
  await readRange(deps, { topics, from, follow, signal, onRecord })
}
