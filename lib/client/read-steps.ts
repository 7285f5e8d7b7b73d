import { isSealed } from '#lib/erasure/sealed-text'
import { isObject } from '#lib/events/from-json'
import { idForm, isId, isTenantId, tenantIdForm } from '#lib/events/ids'
import { parseJson } from '#lib/events/parse-json'
import { stepFromJson } from '#lib/events/parse-step'
import { maxStepBytes } from '#lib/events/topics'
import type { AgentStep, StepPriority } from '#lib/events/types.generated'
import { ShuntError } from '#lib/errors'
import { readObjects } from './read-objects.ts'

/** What a line that does not say it itself gets. */
export interface StepDefaults {
  tenantId?: string
  /** Without it a line's task is its own stepId. */
  taskId?: string
  batchId?: string
  /** Without it OpenAI Batch lines are batch, others interactive. */
  priority?: StepPriority
}

export type StepLine = { number: number; step: AgentStep } | { number: number; problem: ShuntError }

const chatCompletions = '/v1/chat/completions'
const batchFields = new Set(['custom_id', 'method', 'url', 'body'])

/** Steps of a JSONL stream, one at a time: lines of Shunt's own form, and those of the OpenAI Batch API. */
export async function* readSteps(
  bytes: AsyncIterable<Uint8Array | string>,
  defaults: StepDefaults = {},
): AsyncGenerator<StepLine> {
  const read = (value: Record<string, unknown>): AgentStep =>
    checked(stepFromJson('custom_id' in value ? fromBatchLine(value, defaults) : withDefaults(value, defaults)))
  for await (const line of readObjects(bytes, read))
    yield 'value' in line ? { number: line.number, step: line.value } : line
}

function fromBatchLine(value: Record<string, unknown>, defaults: StepDefaults): Record<string, unknown> {
  for (const key of Object.keys(value))
    if (!batchFields.has(key)) throw invalid(`${key.slice(0, 64)} is no field of an OpenAI Batch line`)
  const { custom_id: stepId, method, url, body } = value
  if (method !== 'POST') throw invalid('method must be POST')
  if (url !== chatCompletions) throw invalid(`url must be ${chatCompletions}: steps are chat completions`)
  if (!isObject(body)) throw invalid('body must be an object')
  return withDefaults({ stepId, request: body }, { priority: 'batch', ...defaults })
}

function withDefaults(value: Record<string, unknown>, defaults: StepDefaults): Record<string, unknown> {
  const { tenantId, taskId = value['stepId'], batchId, priority } = defaults
  const filled: Record<string, unknown> = { tenantId, taskId, batchId, priority, ...value }
  if (filled['tenantId'] === undefined) throw invalid('tenantId is missing: name it in the line or by --tenant')
  for (const key of ['batchId', 'priority']) if (filled[key] === undefined) delete filled[key]
  return filled
}

/** What the classifier would reject at once, told here with the line's number. */
function checked(step: AgentStep): AgentStep {
  for (const name of ['stepId', 'taskId'] as const) if (!isId(step[name])) throw invalid(`${name} must be ${idForm}`)
  if (!isTenantId(step.tenantId)) throw invalid(`tenantId must be ${tenantIdForm}`)
  if (step.batchId !== null && !isId(step.batchId)) throw invalid(`batchId must be ${idForm}`)
  const bytes = Buffer.byteLength(step.request)
  if (bytes > maxStepBytes) throw tooLarge(`the request has ${bytes} bytes, a step may have ${maxStepBytes}`)
  if (!isSealed(step.request) && !isObject(parseJson(step.request, 'request')))
    throw invalid('request must be a JSON object')
  return step
}

function invalid(problem: string): ShuntError {
  return new ShuntError('SHUNT_EVENT_INVALID', problem)
}

function tooLarge(problem: string): ShuntError {
  return new ShuntError('SHUNT_EVENT_TOO_LARGE', problem)
}
