import { ShuntError } from '#lib/errors'
import type { InboundRecord } from '#lib/stream/types'
import type { Codec } from './codec.ts'
import { isObject, jsonFormOf } from './from-json.ts'
import { readableIds } from './ids.ts'
import { parseJson } from './parse-json.ts'
import { StepParseError, type StepIds } from './step-error.ts'
import { maxStepBytes } from './topics.ts'
import type { AgentStep, StepFeedback } from './types.generated.ts'

/** A value above this is not even read for its ids. */
const maxReadableBytes = 32 * maxStepBytes

const stepForm = jsonFormOf('step', {
  request: (value) => {
    if (typeof value === 'string') return value
    if (isObject(value)) return JSON.stringify(value)
    throw new ShuntError('SHUNT_EVENT_INVALID', 'request must be an object or its JSON text')
  },
})
const feedbackForm = jsonFormOf('step-feedback')

type Value = Pick<InboundRecord, 'value' | 'headers'>

/**
 * A step as it was published: Confluent-framed Avro, or JSON where the content-type header or the first byte says so.
 * Throws StepParseError: SHUNT_EVENT_TOO_LARGE, SHUNT_EVENT_UNDECODABLE, SHUNT_EVENT_INVALID; and
 * SHUNT_REGISTRY_UNAVAILABLE (retryable).
 */
export async function parseStep(record: Value, codec: Pick<Codec, 'decode'>): Promise<AgentStep> {
  const bytes = record.value?.length ?? 0
  if (bytes <= maxStepBytes) return readStep(record, codec)
  throw new StepParseError(
    'SHUNT_EVENT_TOO_LARGE',
    `the step takes ${bytes} bytes, the limit is ${maxStepBytes} before compression: shorten the request`,
    bytes <= maxReadableBytes ? await idsOf(record, codec) : undefined,
  )
}

/** A step of the JSON form, parsed already. Throws StepParseError SHUNT_EVENT_INVALID. */
export function stepFromJson(value: unknown): AgentStep {
  try {
    return stepForm.read(value)
  } catch (error) {
    throw rejected(error, value)
  }
}

/** As stepFromJson, of a caller's verdict on an answer. */
export function feedbackFromJson(value: unknown): StepFeedback {
  try {
    return feedbackForm.read(value)
  } catch (error) {
    throw rejected(error, value)
  }
}

/** As parseStep, of a caller's verdict on an answer. */
export async function parseFeedback(record: Value, codec: Pick<Codec, 'decode'>): Promise<StepFeedback> {
  if (!isJson(record)) return codec.decode('step-feedback', record.value)
  return feedbackFromJson(parseJson(record.value.toString(), 'the value'))
}

async function readStep(record: Value, codec: Pick<Codec, 'decode'>): Promise<AgentStep> {
  if (isJson(record)) return stepFromJson(parseJson(record.value.toString(), 'the value'))
  return codec.decode('step', record.value)
}

async function idsOf(record: Value, codec: Pick<Codec, 'decode'>): Promise<StepIds | undefined> {
  try {
    return readableIds(await readStep(record, codec))
  } catch (error) {
    if (error instanceof ShuntError && error.retryable) throw error
    return stepIdsOf(error)
  }
}

/** Who a rejected step belongs to, where its error could tell. */
export function stepIdsOf(error: unknown): StepIds | undefined {
  return error instanceof StepParseError ? error.ids : undefined
}

export function isJson(record: Value): record is Value & { value: Buffer } {
  if (record.value === null) return false
  if (record.value[0] === 0x7b) return true
  const contentType = record.headers['content-type']?.toString().trim().toLowerCase() ?? ''
  return /^application\/json\s*(;|$)/.test(contentType)
}

function rejected(error: unknown, value: unknown): unknown {
  return error instanceof ShuntError ? new StepParseError(error.code, error.message, readableIds(value), error) : error
}
