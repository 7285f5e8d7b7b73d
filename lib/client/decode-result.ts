import type { Logger } from 'pino'
import type { Codec } from '#lib/events/codec'
import type { StepResult } from '#lib/events/types.generated'
import type { InboundRecord } from '#lib/stream/types'

/** Undefined, with a log line, for what is no result. */
export async function decodeResult(
  { codec, log }: { codec: Pick<Codec, 'decode'>; log: Pick<Logger, 'warn'> },
  record: InboundRecord,
): Promise<StepResult | undefined> {
  if (record.value === null) return undefined
  try {
    return await codec.decode('step-result', record.value)
  } catch (err) {
    log.warn({ err, partition: record.partition, offset: record.offset }, 'a result cannot be read')
    return undefined
  }
}
