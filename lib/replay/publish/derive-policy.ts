import { isDeepStrictEqual } from 'node:util'
import { ShuntError } from '#lib/errors'
import { tenantOf, tightenConstraints } from '#lib/events/tenant'
import { parsePolicy, type LoadedPolicy } from '#lib/policy/load'
import type { Policy, PolicyProvider, PolicyTenant } from '#lib/policy/schema'

/**
 * What becomes of a replay's frontier calls.
 *
 * - `off`: no step goes to a frontier model; the policy is air-gapped.
 * - `recorded`: a step gets what the model answered when the step was recorded; nobody is called.
 * - `on`: as live. The provider's limits are shared with the live namespace.
 */
export const frontierModes = ['off', 'recorded', 'on'] as const
export type FrontierMode = (typeof frontierModes)[number]

export interface DeriveOptions {
  frontier: FrontierMode
  /** In force in the live namespace; null where none is. */
  live: LoadedPolicy | null
  /** Most that a tenant may spend in a day of the replay, micro-USD; null for what the policy says. */
  budgetMicroUsd: number | null
}

type Data = Record<string, unknown> & { providers?: ProviderData[]; tenants: TenantData[] }
type TenantData = Pick<PolicyTenant, 'id'> & Record<string, unknown>
type ProviderData = Pick<PolicyProvider, 'id'> & Record<string, unknown>

/**
 * The policy that a replay runs under: the pinned one with what `options` change written into it, so that its hash, its
 * decisions and its audit tell the truth about the calls, and no looser than the live one: what is copied is real, and open
 * models are called. Pure. Throws SHUNT_POLICY_INVALID where the pinned one has no
 * sense with that (a tenant that may go to frontier models alone, air-gapped), and SHUNT_REPLAY_REFUSED where a
 * provider's limits could be exceeded.
 */
export function derivePolicy(pinned: LoadedPolicy, options: DeriveOptions): LoadedPolicy {
  const data = JSON.parse(pinned.content) as Data
  const held = options.live ? withFloors(data, pinned.policy, options.live.policy) : data
  const derived = capped(withCalls(held, pinned.policy, options), options.budgetMicroUsd)
  return parsePolicy(JSON.stringify(derived, null, 2), "the replay's policy")
}

/**
 * Before a replay goes on: that its policy is still no looser than the live one, and counts under the same limits. Throws
 * SHUNT_REPLAY_REFUSED where it is not.
 */
export function demandStillFits(derived: LoadedPolicy, options: Pick<DeriveOptions, 'frontier' | 'live'>): void {
  if (derivePolicy(derived, { ...options, budgetMicroUsd: null }).hash === derived.hash) return
  throw refused(
    'the policy in force has got tighter floors or other limits of providers since this replay began: begin another one, with another --id',
  )
}

/** I2: where a tenant's texts may go is loosened by activating a policy, and by nothing else. */
function withFloors(data: Data, pinned: Policy, live: Policy): Data {
  const tenants = data.tenants.map((tenant) => {
    const [own, floor] = [tenantOf(pinned, tenant.id)!, tenantOf(live, tenant.id)]
    if (!floor) return tenant
    const tightened = Object.entries(tightenConstraints(own, floor))
    const changed = tightened.filter(([name, value]) => !isSame(value, own[name as keyof PolicyTenant]))
    return { ...tenant, ...Object.fromEntries(changed) }
  })
  return { ...data, ...(live.airGapped && { airGapped: true }), tenants }
}

/** Lists are sets here. */
function isSame(a: unknown, b: unknown): boolean {
  const asSet = (value: unknown) => (Array.isArray(value) ? new Set(value) : value)
  return isDeepStrictEqual(asSet(a), asSet(b))
}

function withCalls(data: Data, pinned: Policy, { frontier, live }: DeriveOptions): Data {
  const { providers = [] } = data
  switch (frontier) {
    case 'off':
      return { ...data, airGapped: true }
    case 'recorded':
      return { ...data, providers: providers.map(recorded) }
    case 'on':
      return {
        ...data,
        providers: providers.map((provider) => ({ ...provider, ...limitsOf(provider.id, pinned, live) })),
      }
  }
}

/** No address, no key and no limits are left: there is nobody to call. */
function recorded({ id, models, region, complianceTags, maxInFlight }: ProviderData): ProviderData {
  return {
    id,
    api: 'recorded',
    models,
    region,
    ...(complianceTags !== undefined && { complianceTags }),
    ...(maxInFlight !== undefined && { maxInFlight }),
  }
}

/**
 * The live policy's limits of a provider that both call: they count in one log, whose windows must be alike. Refused is
 * what would count one account of a provider under two names.
 */
function limitsOf(id: string, pinned: Policy, live: LoadedPolicy | null): { limits?: unknown } {
  const own = pinned.providers.find((provider) => provider.id === id)!
  if (own.api === 'stand_in' || own.api === 'recorded' || !live) return {}
  const { providers } = live.policy
  const shared = providers.find((provider) => provider.id === id)
  const account = accountOf(own)
  if (!shared) {
    const twin = providers.find((provider) => accountOf(provider) === account)
    if (!twin) return {}
    throw refused(
      `provider ${id} is ${twin.id} in the policy in force, so that its limits would count twice: name it alike`,
    )
  }
  if (accountOf(shared) !== account)
    throw refused(`provider ${id} has another address or key in the policy in force: give it another id`)
  for (const model of own.models) {
    const name = nameOf(pinned, model)
    const other = shared.models.find((each) => each !== model && nameOf(live.policy, each) === name)
    if (other !== undefined)
      throw refused(
        `model ${model} is ${other} in the policy in force, so that its limits would count twice: name it alike`,
      )
  }
  return { limits: limitsAsGiven(live, id, own.models) }
}

/** Without defaults filled in, as the hash of a policy is taken. Limits of models that it does not serve are no policy's. */
function limitsAsGiven(live: LoadedPolicy, id: string, models: readonly string[]): unknown {
  const { providers = [] } = JSON.parse(live.content) as Data
  const limits = providers.find((provider) => provider.id === id)?.['limits'] as
    { perModel?: Record<string, unknown> } | undefined
  if (!limits?.perModel) return limits
  const perModel = Object.entries(limits.perModel).filter(([model]) => models.includes(model))
  return { ...limits, perModel: Object.fromEntries(perModel) }
}

function accountOf({ api, baseUrl, baseUrlEnv, apiKeyEnv }: PolicyProvider): string {
  return JSON.stringify([api, baseUrl, baseUrlEnv, apiKeyEnv])
}

function nameOf({ models }: Policy, id: string): string {
  return models.find((model) => model.id === id)?.name ?? id
}

function capped(data: Data, budgetMicroUsd: number | null): Data {
  if (budgetMicroUsd === null) return data
  const least = (own: unknown) => (typeof own === 'number' ? Math.min(own, budgetMicroUsd) : budgetMicroUsd)
  return {
    ...data,
    tenants: data.tenants.map((tenant) => ({ ...tenant, dayBudgetMicroUsd: least(tenant['dayBudgetMicroUsd']) })),
  }
}

function refused(why: string): ShuntError {
  return new ShuntError('SHUNT_REPLAY_REFUSED', why)
}
