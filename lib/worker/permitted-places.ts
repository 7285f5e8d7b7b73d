import { tenantOf, tightenConstraints } from '#lib/events/tenant'
import type { AgentStep } from '#lib/events/types.generated'
import type { CompiledPolicy } from '#lib/policy/compile-policy'
import type { ConstraintReason } from '#lib/routing/reasons'
import { whyForbidden, type Place } from '#lib/routing/constraints'

export interface PermittedPlaces {
  /** Backends or providers of the policy in force that the step may go to. */
  ids: ReadonlySet<string>
  /** Why the others, or all of them, are forbidden; null where the policy in force has none of the model. */
  reason: ConstraintReason | 'tenant_unknown' | null
}

/**
 * Where a step may go for a model, now: to a place of the policy in force that neither this policy nor the one that
 * decided forbids, be it by the tenant's floor, the step's own constraints, or what either says of the place.
 */
export function permittedPlaces(
  step: Pick<AgentStep, 'tenantId' | 'constraints'>,
  modelId: string,
  inForce: CompiledPolicy,
  decided: CompiledPolicy,
): PermittedPlaces {
  const ids = new Set<string>()
  let reason: PermittedPlaces['reason'] = null
  const before = new Map(decided.index.models.get(modelId)?.places.map((place) => [place.id, place]))
  for (const place of inForce.index.models.get(modelId)?.places ?? []) {
    const why =
      forbids(inForce, step, place) ?? forbids(decided, step, place) ?? forbids(decided, step, before.get(place.id))
    if (why === null) ids.add(place.id)
    else reason ??= why
  }
  return { ids, reason }
}

function forbids(
  policy: CompiledPolicy,
  step: Pick<AgentStep, 'tenantId' | 'constraints'>,
  place: Place | undefined,
): ConstraintReason | 'tenant_unknown' | null {
  if (place === undefined) return null
  const tenant = tenantOf(policy, step.tenantId)
  if (tenant === undefined) return 'tenant_unknown'
  return whyForbidden(place, tightenConstraints(step.constraints, tenant), policy)
}
