import type { Tier } from '#lib/events/types.generated'
import type { Place } from '#lib/routing/constraints'
import type { Policy, PolicyBackend, PolicyModel, PolicyProvider, PolicyTenant } from './schema.ts'

/** A model with the places where it can be reached, in the order of the policy. */
export interface ReachableModel {
  model: PolicyModel
  /** Its backends (OSS) or providers (frontier); a constraint removes places first, and the model when none is left. */
  places: readonly (Place & { id: string })[]
}

/** A policy with what a decision looks up, so that deciding costs no search. */
export interface CompiledPolicy extends Policy {
  index: PolicyIndex
}

export interface PolicyIndex {
  models: ReadonlyMap<string, ReachableModel>
  /** In the order of the policy: the first is preferred. */
  byTier: Readonly<Record<Tier, readonly ReachableModel[]>>
  tenants: ReadonlyMap<string, PolicyTenant>
  backends: ReadonlyMap<string, PolicyBackend>
  providers: ReadonlyMap<string, PolicyProvider>
}

export function compilePolicy(policy: Policy): CompiledPolicy {
  const reachable = policy.models.map((model): ReachableModel => {
    const served =
      model.tier === 'oss'
        ? policy.backends.filter((backend) => backend.model === model.id)
        : policy.providers.filter((provider) => provider.models.includes(model.id))
    return {
      model,
      places: served.map(({ id, region, complianceTags }) => ({ id, tier: model.tier, region, complianceTags })),
    }
  })
  return {
    ...policy,
    index: {
      models: new Map(reachable.map((each) => [each.model.id, each])),
      byTier: {
        oss: reachable.filter((each) => each.model.tier === 'oss'),
        frontier: reachable.filter((each) => each.model.tier === 'frontier'),
      },
      tenants: new Map(policy.tenants.map((tenant) => [tenant.id, tenant])),
      backends: new Map(policy.backends.map((backend) => [backend.id, backend])),
      providers: new Map(policy.providers.map((provider) => [provider.id, provider])),
    },
  }
}
