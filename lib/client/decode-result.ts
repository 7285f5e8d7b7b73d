import type { Logger } from 'pino'
import { isSealed } from '#lib/erasure/sealed-text'
import { openText, type Keys } from '#lib/erasure/step-texts'
import type { Codec } from '#lib/events/codec'
import type { StepResult } from '#lib/events/types.generated'
import type { InboundRecord } from '#lib/stream/types'

/** Undefined, with a log line, for what is no result. An answer that does not open stays sealed. */
export async function decodeResult(
  { codec, log, keys = null }: { codec: Pick<Codec, 'decode'>; log: Pick<Logger, 'warn'>; keys?: Keys },
  record: InboundRecord,
): Promise<StepResult | undefined> {
  if (record.value === null) return undefined
  try {
    return await opened(keys, log, await codec.decode('step-result', record.value))
  } catch (err) {
    log.warn({ err, partition: record.partition, offset: record.offset }, 'a result cannot be read')
    return undefined
  }
}

async function opened(keys: Keys, log: Pick<Logger, 'warn'>, result: StepResult): Promise<StepResult> {
  const { tenantId, stepId, answer } = result
  if (answer === null || keys === null || !isSealed(answer)) return result
  try {
    return { ...result, answer: await openText(keys, { tenantId, stepId, field: 'answer' }, answer) }
  } catch (err) {
    log.warn({ err, stepId }, 'an answer cannot be opened')
    return result
  }
}
