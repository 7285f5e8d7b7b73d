import { didYouMean } from './did-you-mean.ts'
import type { DraftPolicy } from './draft-policy.ts'
import type { PathProblem } from './problems.ts'
import type { PolicyRule } from './schema.ts'

type When = PolicyRule['when']

const listConditions = ['kind', 'tenant', 'priority', 'requestedModel'] as const
const leastConditions = [
  'toolAmbiguityAtLeastPpm',
  'traceTroubleAtLeastPpm',
  'priorFailuresAtLeast',
  'toolCountAtLeast',
] as const

/** Rules that can never decide: for tenants that do not exist, after an earlier rule that matches all the same steps, … */
export function deadRuleProblems({ entries, ids, whole }: DraftPolicy): PathProblem[] {
  const tenants = ids.tenants.map(({ id }) => id)
  const problems: PathProblem[] = []
  entries.rules.forEach(({ index, value: rule }, position) => {
    rule.when.tenant?.forEach((tenant, at) => {
      if (tenants.includes(tenant)) return
      const near = didYouMean(tenant, tenants)
      const remedy = near === undefined ? 'add it under tenants, or leave it out' : `did you mean ${near}?`
      problems.push({
        path: ['rules', index, 'when', 'tenant', at],
        message: `there is no tenant ${tenant}; ${remedy}`,
      })
    })
    const shadow = entries.rules.slice(0, position).find((earlier) => covers(earlier.value.when, rule.when))
    if (shadow)
      problems.push({
        path: ['rules', index],
        message: `never matches: rule ${shadow.value.name} before it takes every step that it would; move it up, or remove it`,
      })
    const failuresSeen = whole ? whole.limits.maxAttempts - 1 : Infinity
    if ((rule.when.priorFailuresAtLeast ?? 0) > failuresSeen)
      problems.push({
        path: ['rules', index, 'when', 'priorFailuresAtLeast'],
        message: `never matches: limits.maxAttempts ends a step after ${failuresSeen + 1} attempts; give at most ${failuresSeen}`,
      })
  })
  return problems
}

/** True where every step that meets `later` meets `earlier`. */
function covers(earlier: When, later: When): boolean {
  for (const key of listConditions) {
    const wide: readonly string[] | undefined = earlier[key]
    const narrow: readonly string[] | undefined = later[key]
    if (wide && !(narrow && narrow.every((value) => wide.includes(value)))) return false
  }
  return leastConditions.every((key) => earlier[key] === undefined || (later[key] ?? -1) >= earlier[key])
}
