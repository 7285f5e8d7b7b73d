import type { Policy, PolicyTenant } from '#lib/policy/schema'
import type { StepConstraints } from './types.generated.ts'

interface TenantIndex {
  byId: Map<string, PolicyTenant>
  byIngress: Map<string, PolicyTenant>
}

const indexes = new WeakMap<object, TenantIndex>()

function indexOf(policy: Pick<Policy, 'tenants'>): TenantIndex {
  let index = indexes.get(policy)
  if (!index) {
    index = { byId: new Map(), byIngress: new Map() }
    for (const tenant of policy.tenants) {
      index.byId.set(tenant.id, tenant)
      if (tenant.ingressTopic !== undefined) index.byIngress.set(tenant.ingressTopic, tenant)
    }
    indexes.set(policy, index)
  }
  return index
}

/** The tenant's entry in the policy. */
export function tenantOf(policy: Pick<Policy, 'tenants'>, tenantId: string): PolicyTenant | undefined {
  return indexOf(policy).byId.get(tenantId)
}

/** The tenant that alone may publish to the topic, given without its namespace. */
export function ownerOf(policy: Pick<Policy, 'tenants'>, ingressTopic: string): PolicyTenant | undefined {
  return indexOf(policy).byIngress.get(ingressTopic)
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
