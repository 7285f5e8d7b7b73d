import { ShuntError } from '#lib/errors'
import { idForm, isId, isTenantId, tenantIdForm } from './ids.ts'
import type { StepFeedback } from './types.generated.ts'

/** The year 2001 and 5138: what lies outside was meant in seconds, or in microseconds. */
const minTimeMs = 1e12
const maxTimeMs = 1e14

/**
 * Feedback beyond its Avro types: ids as those of steps, a verdict that is one, code and actor that can be printed. Pure.
 * Throws SHUNT_EVENT_INVALID.
 */
export function validateFeedback(feedback: StepFeedback): void {
  const problem = problemOf(feedback)
  if (problem !== undefined) throw new ShuntError('SHUNT_EVENT_INVALID', problem)
}

function problemOf({ tenantId, stepId, taskId, verdict, code, actor, atMs }: StepFeedback): string | undefined {
  if (!isTenantId(tenantId)) return `tenantId must be ${tenantIdForm}`
  if (!isId(stepId)) return `stepId must be ${idForm}`
  if (!isId(taskId)) return `taskId must be ${idForm}`
  if (verdict === 'unknown') return 'verdict must be right or wrong'
  if (code !== null && !isId(code)) return `code must be ${idForm}`
  if (actor !== null && !isId(actor)) return `actor must be ${idForm}`
  if (!(atMs >= minTimeMs && atMs <= maxTimeMs)) return 'atMs must be a time in epoch milliseconds'
  return undefined
}
