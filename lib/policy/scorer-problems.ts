import { tightenConstraints } from '#lib/events/tenant'
import { whyForbidden } from '#lib/routing/constraints'
import { didYouMean } from './did-you-mean.ts'
import type { DraftPolicy } from './draft-policy.ts'
import type { PathProblem, PolicyPath } from './problems.ts'
import type { HttpScorerPolicy, Policy } from './schema.ts'
import { scorerOf } from './scorer-choice.ts'

/** A scorer that cannot be found. */
export function scorerProblems(policy: Policy): PathProblem[] {
  const problems: PathProblem[] = []
  const scorer = scorerOf(policy)
  const local = scorer.use === 'http' ? scorer.fallback : scorer
  if (local.use === 'trained' && local.hash === undefined)
    problems.push({
      path: scorer.use === 'http' ? ['scorer', 'fallback'] : ['scorer'],
      message: 'there is no trained scorer to use; name its directory with --scorer DIR, or give its hash',
    })
  if (scorer.use === 'http' && scorer.url === undefined && scorer.urlEnv === undefined)
    problems.push({ path: ['scorer'], message: 'has no address; add url, or urlEnv, or both' })
  return problems
}

/** Thresholds for tenants that do not exist. */
export function thresholdTenantProblems({ thresholdTenants, ids }: DraftPolicy): PathProblem[] {
  const tenants = ids.tenants.map(({ id }) => id)
  return thresholdTenants
    .filter((tenant) => !tenants.includes(tenant))
    .map((tenant) => {
      const near = didYouMean(tenant, tenants)
      const remedy = near === undefined ? 'add it under tenants, or leave it out' : `did you mean ${near}?`
      return { path: ['threshold', 'perTenant', tenant], message: `there is no tenant ${tenant}; ${remedy}` }
    })
}

/** Thresholds that nothing is held against, and steps that a scorer never sees. */
export function scorerNotes(policy: Policy): PathProblem[] {
  const scorer = scorerOf(policy)
  if (scorer.use === 'hand_weighted')
    return askedGains(policy.threshold, ['threshold']).map((path) => ({
      path,
      message: 'has no effect: the hand-weighted scorer knows no gain; use a trained or an http scorer',
    }))
  return scorer.use === 'http' ? unaskedNotes(policy, scorer) : []
}

type Bases = Pick<Policy['threshold'], 'gainPpm' | 'perKind' | 'perTenant'>

/** Where a threshold asks for a gain. */
function askedGains({ gainPpm, perKind, perTenant }: Bases, path: PolicyPath): PolicyPath[] {
  return [
    ...(gainPpm === undefined ? [] : [[...path, 'gainPpm']]),
    ...Object.entries(perKind ?? {}).flatMap(([kind, base]) => askedGains(base ?? {}, [...path, 'perKind', kind])),
    ...Object.entries(perTenant ?? {}).flatMap(([tenant, base]) => askedGains(base, [...path, 'perTenant', tenant])),
  ]
}

function unaskedNotes(policy: Policy, scorer: HttpScorerPolicy): PathProblem[] {
  const place = { tier: 'oss', region: scorer.region, complianceTags: scorer.complianceTags } as const
  const barred = policy.tenants.filter((tenant) => {
    const floor = tightenConstraints({ allowedRegions: null, requiredTags: [], frontierAllowed: true }, tenant)
    return whyForbidden(place, floor, policy) !== null
  })
  if (barred.length === 0) return []
  const names = barred.map(({ id }) => id).join(', ')
  return [
    {
      path: ['scorer', 'region'],
      message: `the fallback scores every step of ${names}, whose floor does not permit it`,
    },
  ]
}
