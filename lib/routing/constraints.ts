import type { EffectiveConstraints } from '#lib/events/tenant'
import type { Tier } from '#lib/events/types.generated'
import type { Policy } from '#lib/policy/schema'
import type { ConstraintReason } from './reasons.ts'

/** A backend or a provider, as far as constraints look at it. */
export interface Place {
  tier: Tier
  region: string
  complianceTags: readonly string[]
}

/**
 * Why a step may not go there; null when it may. `constraints` are the tenant's floor with the step's own on top
 * (`tightenConstraints`). The classifier asks for every backend and provider of a model, and a worker asks again right
 * before each call, under the policy that decided and under the one in force.
 */
export function whyForbidden(
  place: Place,
  constraints: EffectiveConstraints,
  policy: Pick<Policy, 'airGapped'>,
): ConstraintReason | null {
  if (place.tier === 'frontier') {
    if (policy.airGapped) return 'air_gapped'
    if (!constraints.frontierAllowed) return 'frontier_not_allowed'
  }
  if (constraints.allowedRegions !== null && !constraints.allowedRegions.includes(place.region)) return 'residency'
  for (const tag of constraints.requiredTags) if (!place.complianceTags.includes(tag)) return 'compliance'
  return null
}

/** Why none of a model's places is allowed; null where one is. The reason is that of the place that came furthest. */
export function whyUnreachable(
  places: readonly Place[],
  constraints: EffectiveConstraints,
  policy: Pick<Policy, 'airGapped'>,
): ConstraintReason | null {
  let furthest: ConstraintReason = 'residency'
  for (const place of places) {
    const reason = whyForbidden(place, constraints, policy)
    if (reason === null) return null
    if (reason !== 'residency') furthest = reason
  }
  return furthest
}
