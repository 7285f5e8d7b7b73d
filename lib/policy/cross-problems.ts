import { whyForbidden } from '#lib/routing/constraints'
import { tightenConstraints } from '#lib/events/tenant'
import type { Tier } from '#lib/events/types.generated'
import { capProblems } from './cap-problems.ts'
import { compilePolicy, type CompiledPolicy } from './compile-policy.ts'
import { didYouMean } from './did-you-mean.ts'
import type { DraftPolicy } from './draft-policy.ts'
import type { PathProblem, PolicyPath } from './problems.ts'
import { deadRuleProblems } from './dead-rules.ts'
import type { Policy } from './schema.ts'
import { scorerProblems, thresholdTenantProblems } from './scorer-problems.ts'

/** What each entry cannot know by itself: that ids are unique, references lead somewhere, and every tenant is served. */
export function crossProblems(draft: DraftPolicy): PathProblem[] {
  return [
    ...duplicateIds(draft),
    ...danglingReferences(draft),
    ...inconsistentEntries(draft),
    ...deadRuleProblems(draft),
    ...thresholdTenantProblems(draft),
    ...(draft.whole ? wholeProblems(draft.whole) : []),
  ]
}

function wholeProblems(whole: Policy): PathProblem[] {
  const policy = compilePolicy(whole)
  return [...unservedProblems(policy), ...capProblems(policy), ...scorerProblems(policy)]
}

function duplicateIds({ ids }: DraftPolicy): PathProblem[] {
  const within = (...lists: (keyof DraftPolicy['ids'])[]): PathProblem[] => {
    const first = new Map<string, string>()
    return lists.flatMap((list) =>
      ids[list].flatMap(({ id, index }) => {
        const before = first.get(id)
        if (before === undefined) {
          first.set(id, `${list}[${index}]`)
          return []
        }
        return [
          { path: [list, index, list === 'rules' ? 'name' : 'id'], message: `is that of ${before} too; rename one` },
        ]
      }),
    )
  }
  // One name space for both: an attempt names a backend or a provider by id alone.
  return [...within('models'), ...within('backends', 'providers'), ...within('tenants'), ...within('rules')]
}

function danglingReferences({ entries, ids }: DraftPolicy): PathProblem[] {
  const tierOf = new Map(entries.models.map(({ value }) => [value.id, value.tier]))
  const written = new Set(ids.models.map(({ id }) => id))
  const checkModel = (id: string, tier: Tier, path: PolicyPath): PathProblem[] => {
    if (!written.has(id)) {
      const near = didYouMean(
        id,
        [...written].filter((known) => (tierOf.get(known) ?? tier) === tier),
      )
      return [{ path, message: `there is no model ${id}; ${near ? `did you mean ${near}?` : 'add it under models'}` }]
    }
    const found = tierOf.get(id)
    if (found === undefined || found === tier) return []
    return [{ path, message: `${id} is a model of tier ${found}; name one of tier ${tier}` }]
  }
  return [
    ...entries.backends.flatMap(({ index, value }) => checkModel(value.model, 'oss', ['backends', index, 'model'])),
    ...entries.providers.flatMap(({ index, value }) =>
      value.models.flatMap((id, at) => checkModel(id, 'frontier', ['providers', index, 'models', at])),
    ),
    ...entries.rules.flatMap(({ index, value: { choose } }) => {
      const path = ['rules', index, 'choose', 'model']
      if (choose.model === undefined) return []
      if (choose.tier === 'refuse') return [{ path, message: 'a refusal has no model; leave it out' }]
      return checkModel(choose.model, choose.tier, path)
    }),
  ]
}

function inconsistentEntries({ entries }: DraftPolicy): PathProblem[] {
  const problems: PathProblem[] = []
  for (const { index, value } of entries.models)
    if (value.maxOutputTokens >= value.contextTokens)
      problems.push({
        path: ['models', index, 'maxOutputTokens'],
        message: `leaves no room for a prompt; give less than contextTokens (${value.contextTokens})`,
      })
  for (const { index, value } of entries.providers) {
    if (value.standInWithoutKey && value.apiKeyEnv === undefined && value.api !== 'stand_in')
      problems.push({
        path: ['providers', index, 'standInWithoutKey'],
        message: 'there is no key whose absence could be seen; add apiKeyEnv, or set api to stand_in',
      })
    for (const model of Object.keys(value.limits?.perModel ?? {}))
      if (!value.models.includes(model))
        problems.push({
          path: ['providers', index, 'limits', 'perModel'],
          key: model,
          message: `the provider does not serve ${model}; name one of its models (${value.models.join(', ')})`,
        })
    if (new Set(value.models).size < value.models.length)
      problems.push({ path: ['providers', index, 'models'], message: 'names a model twice; name each once' })
  }
  return problems
}

/** Models that nobody serves, and tenants whose floor leaves no model. */
function unservedProblems(policy: CompiledPolicy): PathProblem[] {
  const { index } = policy
  const problems: PathProblem[] = []
  policy.models.forEach((model, at) => {
    if (index.models.get(model.id)?.places.length === 0)
      problems.push({
        path: ['models', at],
        message: `nobody serves ${model.id}; add ${model.tier === 'oss' ? 'a backend for it' : 'it to a provider'}, or remove it`,
      })
  })
  policy.tenants.forEach((tenant, at) => {
    const floor = tightenConstraints({ allowedRegions: null, requiredTags: [], frontierAllowed: true }, tenant)
    const places = [...index.models.values()].flatMap(({ model, places }) => places.map((place) => ({ model, place })))
    const refusals = places.map(({ model, place }) => ({ model, place, why: whyForbidden(place, floor, policy) }))
    if (refusals.some(({ why }) => why === null)) return
    const list = refusals.map(({ model, place, why }) => `${model.id} at ${place.id}: ${why}`).join(', ')
    problems.push({
      path: ['tenants', at],
      message: `its floor leaves no model (${list}); loosen the floor, or add a backend that meets it`,
    })
  })
  return problems
}
