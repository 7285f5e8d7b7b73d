import type { Codec } from '#lib/events/codec'
import { inNamespace } from '#lib/events/topics'
import type { StepResult } from '#lib/events/types.generated'
import type { InboundRecord } from '#lib/stream/types'
import { decodeResult } from './decode-result.ts'
import { offsetsSince, readRange, withAdmin, type ReadDeps } from './topic-range.ts'

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
export async function readResults(deps: ReadDeps & { codec: Codec }, options: ReadResultsOptions): Promise<void> {
  const { namespace, sinceMs, follow, signal, onResult } = options
  const topic = inNamespace(namespace, 'agent.results')
  const from = sinceMs === undefined ? 'beginning' : await offsetsSince(deps, topic, sinceMs)
  if (from === 'beginning') await withAdmin(deps, [topic], () => Promise.resolve())
  const onRecord = async (record: InboundRecord): Promise<void> => {
    const result = await decodeResult(deps, record)
    if (result) onResult(result)
  }
  await readRange(deps, { topics: [topic], from, follow, signal, onRecord })
}
