import { ShuntError } from '#lib/errors'
import type { Policy } from '#lib/policy/schema'
import { labelsKey, readLabelSet } from '#lib/verification/labels'
import { named } from './from-json.ts'
import { idForm, isId, isTenantId, readableIds, tenantIdForm } from './ids.ts'
import { validateRequest, type ValidRequest } from './request-fields.ts'
import { StepParseError } from './step-error.ts'
import { tenantOf } from './tenant.ts'
import type { AgentStep } from './types.generated.ts'

/** What `constraints.critical` may name: the constraints that this release enforces. */
const knownConstraints: ReadonlySet<string> = new Set([
  'allowedRegions',
  'requiredTags',
  'frontierAllowed',
  'taskBudgetMicroUsd',
  'deadlineAtMs',
])

const maxConstraintItems = 64
const maxMetadataEntries = 32
const maxMetadataKeyBytes = 64
const maxMetadataValueChars = 1_024

/** The year 2001 and 5138: what lies outside was meant in seconds, or in microseconds. */
const minDeadlineMs = 1e12
const maxDeadlineMs = 1e14

/** As in the policy. */
const regionForm = /^[a-z0-9][a-z0-9-]{0,31}$/
const tagForm = /^[a-z0-9][a-z0-9_-]{0,31}$/

/**
 * A step beyond its Avro types: ids, limits, constraints, tenant and request. Pure, and written by hand: it runs for each
 * step. Throws StepParseError: SHUNT_EVENT_INVALID, SHUNT_TENANT_UNKNOWN, SHUNT_CONSTRAINT_UNKNOWN,
 * SHUNT_REQUEST_UNSUPPORTED. A deadline that has passed is valid: the step then ends as expired.
 */
export function validateStep(step: AgentStep, policy: Pick<Policy, 'request' | 'tenants'>): ValidRequest {
  validateEnvelope(step, policy)
  return withIds(step, () => validateRequest(step.request, policy))
}

/** As `validateStep`, without the request: it may be sealed, and nobody opens it for a tenant that is not known. */
export function validateEnvelope(step: AgentStep, policy: Pick<Policy, 'tenants'>): void {
  withIds(step, () => {
    checkIds(step)
    checkConstraints(step)
    checkMetadata(step.metadata)
    if (!tenantOf(policy, step.tenantId))
      throw new ShuntError('SHUNT_TENANT_UNKNOWN', `tenant ${step.tenantId} is not in the policy: add it under tenants`)
  })
}

function withIds<T>(step: AgentStep, check: () => T): T {
  try {
    return check()
  } catch (error) {
    if (!(error instanceof ShuntError)) throw error
    throw new StepParseError(error.code, error.message, readableIds(step), error)
  }
}

function checkIds(step: AgentStep): void {
  if (!isTenantId(step.tenantId)) throw invalid('tenantId', `must be ${tenantIdForm}`)
  if (!isId(step.stepId)) throw invalid('stepId', `must be ${idForm}`)
  if (!isId(step.taskId)) throw invalid('taskId', `must be ${idForm}`)
  if (step.batchId !== null && !isId(step.batchId)) throw invalid('batchId', `must be ${idForm}`)
  if (step.sequence !== null && step.sequence < 0) throw invalid('sequence', 'must not be negative')
}

function checkConstraints(step: AgentStep): void {
  const { allowedRegions, requiredTags, critical } = step.constraints
  for (const name of critical)
    if (!knownConstraints.has(name))
      throw new ShuntError(
        'SHUNT_CONSTRAINT_UNKNOWN',
        `constraints.critical names ${named(name)}, which this release does not know: known are ${[...knownConstraints].join(', ')}`,
      )
  if (allowedRegions !== null) checkItems(allowedRegions, 'allowedRegions', regionForm)
  checkItems(requiredTags, 'requiredTags', tagForm)
  if (step.taskBudgetMicroUsd !== null && step.taskBudgetMicroUsd < 0)
    throw invalid('taskBudgetMicroUsd', 'must not be negative')
  if (step.deadlineAtMs !== null && (step.deadlineAtMs < minDeadlineMs || step.deadlineAtMs > maxDeadlineMs))
    throw invalid('deadlineAtMs', 'must be a time in epoch milliseconds')
}

function checkItems(items: readonly string[], name: string, form: RegExp): void {
  if (items.length > maxConstraintItems) throw invalid(`constraints.${name}`, `must be ${maxConstraintItems} at most`)
  for (const [i, item] of items.entries())
    if (!form.test(item))
      throw invalid(`constraints.${name}[${i}]`, 'must be 1 to 32 lower-case letters, digits or - as in the policy')
}

function checkMetadata(metadata: Readonly<Record<string, string>>): void {
  const keys = Object.keys(metadata)
  if (keys.length > maxMetadataEntries) throw invalid('metadata', `must have ${maxMetadataEntries} entries at most`)
  for (const key of keys) {
    if (!isId(key) || Buffer.byteLength(key) > maxMetadataKeyBytes || key === '__proto__')
      throw invalid(
        'metadata',
        `has the key ${named(key)}: keys are 1 to ${maxMetadataKeyBytes} bytes of printable characters`,
      )
    if (metadata[key]!.length > maxMetadataValueChars)
      throw invalid(`metadata.${named(key)}`, `must be ${maxMetadataValueChars} characters at most`)
  }
  if (readLabelSet(metadata) === undefined)
    throw invalid(`metadata.${labelsKey}`, 'must name labels: a JSON array of texts, or names between commas')
}

function invalid(path: string, problem: string): ShuntError {
  return new ShuntError('SHUNT_EVENT_INVALID', `${path} ${problem}`)
}
