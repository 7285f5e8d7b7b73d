import { tenantOf, tightenConstraints } from '#lib/events/tenant'
import type { AgentStep } from '#lib/events/types.generated'
import type { CompiledPolicy } from '#lib/policy/compile-policy'
import { whyForbidden, type Place } from '#lib/routing/constraints'
import type { ConstraintReason } from '#lib/routing/reasons'

/** A backend or provider as it will be called. */
export type NamedPlace = Place & { id: string }
export type ForbiddenBecause = ConstraintReason | 'tenant_unknown' | 'not_in_policy'

/**
 * Why a step may not go to a place for a model; null when it may. The policy in force must have the place and allow it,
 * and so must the policy that decided, as far as it knows it: by the tenant's floor, the step's own constraints, and
 * whatever either policy says of the place's region and tags. A worker asks at the last moment before each call, since
 * a step may have waited for its turn through a change of policy.
 */
export function whyNotPermitted(
  step: Pick<AgentStep, 'tenantId' | 'constraints'>,
  modelId: string,
  place: NamedPlace,
  inForce: CompiledPolicy,
  decided: CompiledPolicy,
): ForbiddenBecause | null {
  const listed = placeIn(inForce, modelId, place.id)
  if (listed?.tier !== place.tier) return 'not_in_policy'
  const before = placeIn(decided, modelId, place.id)
  return (
    forbids(inForce, step, place) ??
    forbids(inForce, step, listed) ??
    forbids(decided, step, place) ??
    (before === undefined ? null : forbids(decided, step, before))
  )
}

/** Why none of the places that the policy in force has for a model is permitted; null when one is. */
export function whyNowhere(
  step: Pick<AgentStep, 'tenantId' | 'constraints'>,
  modelId: string,
  inForce: CompiledPolicy,
  decided: CompiledPolicy,
): ForbiddenBecause | null {
  let first: ForbiddenBecause = 'not_in_policy'
  for (const place of inForce.index.models.get(modelId)?.places ?? []) {
    const why = whyNotPermitted(step, modelId, place, inForce, decided)
    if (why === null) return null
    if (first === 'not_in_policy') first = why
  }
  return first
}

function placeIn(policy: CompiledPolicy, modelId: string, id: string): NamedPlace | undefined {
  return policy.index.models.get(modelId)?.places.find((place) => place.id === id)
}

function forbids(
  policy: CompiledPolicy,
  step: Pick<AgentStep, 'tenantId' | 'constraints'>,
  place: Place,
): ForbiddenBecause | null {
  const tenant = tenantOf(policy, step.tenantId)
  if (tenant === undefined) return 'tenant_unknown'
  return whyForbidden(place, tightenConstraints(step.constraints, tenant), policy)
}
