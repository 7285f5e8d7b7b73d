import { ShuntError } from '#lib/errors'
import { validateRequest, type ValidRequest } from '#lib/events/request-fields'
import { StepParseError } from '#lib/events/step-error'
import { readableIds } from '#lib/events/ids'
import { tenantOf } from '#lib/events/tenant'
import type { AgentStep, Attempt } from '#lib/events/types.generated'
import { validateEnvelope } from '#lib/events/validate-step'
import type { Policy } from '#lib/policy/schema'
import type { DataKeys } from './data-keys.ts'
import { unavailable } from './key-files.ts'
import { isSealed, keyIdOf, openWith, sealWith, type SealedField, type TextPlace } from './sealed-text.ts'

/** The texts of steps in the form that their tenant wants: whoever reads or writes one comes through here. */

/** Null where the site has no data keys. */
export type Keys = DataKeys | null

type Named = Pick<AgentStep, 'tenantId' | 'stepId'>
type WithRequest = Named & Pick<AgentStep, 'request'>

export interface OpenRequest extends ValidRequest {
  /** As the caller wrote it, opened: features count its bytes. In memory only. */
  text: string
}

/**
 * A text as it was before it was sealed; a plain one as it is. Throws SHUNT_TEXT_ERASED where the key was deleted,
 * SHUNT_TEXT_UNREADABLE, and SHUNT_DATA_KEYS_UNAVAILABLE (retryable).
 */
export async function openText(keys: Keys, place: TextPlace, text: string): Promise<string> {
  if (!isSealed(text)) return text
  const keyId = keyIdOf(text, place)
  if (!keys)
    throw unavailable(`the ${place.field} of tenant ${place.tenantId} is sealed: set SHUNT_DATA_KEYS to the data keys`)
  const key = await keys.byId(place.tenantId, keyId)
  if (!key)
    throw new ShuntError(
      'SHUNT_TEXT_ERASED',
      `data key ${keyId} of tenant ${place.tenantId} is not here: its ${place.field} was erased, or the key never came`,
    )
  return openWith(key, place, text)
}

/** What belongs to a step in the form of the step's own request. Throws as `sealText`, where that is sealed. */
export async function sealLike(keys: Keys, step: WithRequest, field: SealedField, text: string): Promise<string> {
  return isSealed(step.request) ? sealText(keys, { tenantId: step.tenantId, stepId: step.stepId, field }, text) : text
}

/** Throws SHUNT_TEXT_ERASED where the tenant has no key any more, and SHUNT_DATA_KEYS_UNAVAILABLE (retryable). */
export async function sealText(keys: Keys, place: TextPlace, text: string): Promise<string> {
  if (!keys) throw unavailable(`tenant ${place.tenantId} has sealed texts: set SHUNT_DATA_KEYS to the data keys`)
  const key = await keys.newest(place.tenantId)
  if (!key)
    throw new ShuntError('SHUNT_TEXT_ERASED', `tenant ${place.tenantId} has no data key to seal with: it was deleted`)
  return sealWith(key, place, text)
}

/** As a publisher sends it: sealed where the tenant has a key here. One that was sealed before stays as it is. */
export async function sealPublished<T extends WithRequest>(keys: Keys, step: T): Promise<T> {
  if (!keys || isSealed(step.request)) return step
  const key = await keys.newest(step.tenantId)
  return key ? { ...step, request: await sealWith(key, placeOf(step, 'request'), step.request) } : step
}

/** A step's request, opened and held against the allow-list. Throws as `openText` and `validateRequest`. */
export async function openRequest(
  keys: Keys,
  step: WithRequest,
  policy: Pick<Policy, 'request'>,
): Promise<OpenRequest> {
  const text = await openText(keys, placeOf(step, 'request'), step.request)
  return { ...validateRequest(text, policy), text }
}

/**
 * The attempts of a step with their weak answers opened; one that does not open counts as none. Of a plain step they are
 * what they were. Throws SHUNT_DATA_KEYS_UNAVAILABLE (retryable).
 */
export async function openAnswers(keys: Keys, step: WithRequest, attempts: Attempt[]): Promise<Attempt[]> {
  if (!isSealed(step.request)) return attempts
  const place = placeOf(step, 'answer')
  return Promise.all(
    attempts.map(async (attempt) => {
      if (attempt.answer === null) return attempt
      return { ...attempt, answer: await orNull(openText(keys, place, attempt.answer)) }
    }),
  )
}

/** Null for a text that was erased or will never open. Throws SHUNT_DATA_KEYS_UNAVAILABLE (retryable). */
export async function orNull<T>(opening: Promise<T>): Promise<T | null> {
  try {
    return await opening
  } catch (error) {
    if (error instanceof ShuntError && !error.retryable) return null
    throw error
  }
}

/**
 * As `openRequest`, of a step that is not accepted yet: as `validateStep`, and in the form that the policy demands of its
 * tenant. Throws StepParseErrors, beside SHUNT_DATA_KEYS_UNAVAILABLE.
 */
export async function openStep(
  keys: Keys,
  step: AgentStep,
  policy: Pick<Policy, 'request' | 'tenants'>,
): Promise<OpenRequest> {
  validateEnvelope(step, policy)
  try {
    demandForm(keys, step, tenantOf(policy, step.tenantId)?.texts === 'sealed')
    return await openRequest(keys, step, policy)
  } catch (error) {
    if (!(error instanceof ShuntError) || error.retryable) throw error
    throw new StepParseError(error.code, error.message, readableIds(step), error)
  }
}

function demandForm(keys: Keys, { tenantId, request }: WithRequest, mustBeSealed: boolean): void {
  if (mustBeSealed && !isSealed(request))
    throw new ShuntError(
      'SHUNT_TEXT_NOT_SEALED',
      `tenant ${tenantId} publishes sealed requests only (policy: texts: sealed): let the publisher have its data keys`,
    )
  // Not held: where nobody promised keys, a publisher could fill the lanes with what will never open.
  if (!mustBeSealed && !keys && isSealed(request))
    throw new ShuntError(
      'SHUNT_TEXT_UNREADABLE',
      'the request is sealed and this site has no data keys: publish it plain, or have SHUNT_DATA_KEYS set',
    )
}

function placeOf({ tenantId, stepId }: Named, field: SealedField): TextPlace {
  return { tenantId, stepId, field }
}
