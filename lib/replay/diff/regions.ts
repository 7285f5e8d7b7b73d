import { tightenConstraints } from '#lib/events/tenant'
import type { DecisionOutcome, StepFacts } from '#lib/events/types.generated'
import type { CompiledPolicy, ReachableModel } from '#lib/policy/compile-policy'
import { whyForbidden } from '#lib/routing/constraints'

/** A step may now be sent where it could not be sent before. */
export interface RegionsLeft {
  /** Empty: it was sent nowhere. */
  from: readonly string[]
  to: readonly string[]
}

/** Regions in which a policy lets the outcome's model take the step. */
export function regionsOf(outcome: DecisionOutcome, facts: StepFacts, policy: CompiledPolicy): readonly string[] {
  const reachable = outcome.model === null ? undefined : policy.index.models.get(outcome.model)
  return reachable ? permittedRegions([reachable], facts, policy) : []
}

/** Where any open model may take the step: a step that comes back there from a frontier model leaves nothing. */
export function homeRegions(facts: StepFacts, policy: CompiledPolicy): readonly string[] {
  return permittedRegions(policy.index.byTier.oss, facts, policy)
}

function permittedRegions(
  models: readonly ReachableModel[],
  facts: StepFacts,
  policy: CompiledPolicy,
): readonly string[] {
  const tenant = policy.index.tenants.get(facts.tenantId)
  if (!tenant) return []
  const constraints = tightenConstraints(facts, tenant)
  const regions = new Set<string>()
  for (const { places } of models)
    for (const place of places) if (whyForbidden(place, constraints, policy) === null) regions.add(place.region)
  return [...regions].toSorted()
}

/** Null where the step stays within the regions that it could go to before, or comes back `home`. */
export function regionsLeft(
  before: readonly string[],
  after: readonly string[],
  home: () => readonly string[],
): RegionsLeft | null {
  let added = after.filter((region) => !before.includes(region))
  if (added.length > 0) added = added.filter((region) => !home().includes(region))
  return added.length === 0 ? null : { from: before, to: added }
}
