import type { Logger } from 'pino'
import { isSealed } from '#lib/erasure/sealed-text'
import { openText, type Keys } from '#lib/erasure/step-texts'
import type { Codec } from '#lib/events/codec'
import type { StepResult } from '#lib/events/types.generated'
import type { InboundRecord } from '#lib/stream/types'

/** Undefined, with a log line, for what is no result. Its answer may be sealed. */
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

/** With its answer opened; one that does not open stays sealed. */
export async function openResult(
  { log, keys = null }: { log: Pick<Logger, 'warn'>; keys?: Keys },
  result: StepResult,
): Promise<StepResult> {
  const { tenantId, stepId, answer } = result
  if (answer === null || keys === null || !isSealed(answer)) return result
  try {
    return { ...result, answer: await openText(keys, { tenantId, stepId, field: 'answer' }, answer) }
  } catch (err) {
    log.warn({ err, stepId }, 'an answer cannot be opened')
    return result
  }
}
