import type { Policy, PolicyTenant } from '#lib/policy/schema'
import type { StepConstraints } from './types.generated.ts'

const indexes = new WeakMap<object, ReadonlyMap<string, PolicyTenant>>()

/** The tenant's entry in the policy. */
export function tenantOf(policy: Pick<Policy, 'tenants'>, tenantId: string): PolicyTenant | undefined {
  let index = indexes.get(policy)
  if (!index) {
    index = new Map(policy.tenants.map((tenant) => [tenant.id, tenant]))
    indexes.set(policy, index)
  }
  return index.get(tenantId)
}

/** What a model must satisfy to get the step. */
export interface EffectiveConstraints {
  /** null: any region. Empty: none at all. */
  allowedRegions: string[] | null
  requiredTags: string[]
  frontierAllowed: boolean
}

/** The tenant's floor and the step's own wishes together: a step tightens, and never loosens. */
export function tightenConstraints(
  step: Pick<StepConstraints, 'allowedRegions' | 'requiredTags' | 'frontierAllowed'>,
  tenant: Pick<PolicyTenant, 'allowedRegions' | 'requiredTags' | 'frontierAllowed'>,
): EffectiveConstraints {
  const floor = tenant.allowedRegions
  const wished = step.allowedRegions
  return {
    allowedRegions:
      floor === null || wished === null ? (floor ?? wished) : wished.filter((region) => floor.includes(region)),
    requiredTags: [...new Set([...tenant.requiredTags, ...step.requiredTags])],
    frontierAllowed: tenant.frontierAllowed && step.frontierAllowed,
  }
}
