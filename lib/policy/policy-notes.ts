import { windowOf } from '#lib/ledger/provider-window'
import type { PathProblem } from './problems.ts'
import type { Policy } from './schema.ts'
import { scorerNotes } from './scorer-problems.ts'

/** What is allowed and may surprise. */
export function policyNotes(policy: Policy): PathProblem[] {
  const notes: PathProblem[] = []
  if (policy.airGapped && policy.providers.length > 0)
    notes.push({ path: ['airGapped'], message: 'no step goes to the providers below while this is true' })
  policy.models.forEach((model, index) => {
    const { inputMicroUsdPerMTok, outputMicroUsdPerMTok } = model.price
    if (inputMicroUsdPerMTok === 0 && outputMicroUsdPerMTok === 0)
      notes.push({
        path: ['models', index, 'price'],
        message: `${model.id} counts as free${model.tier === 'frontier' ? ': no budget holds it back' : ''}`,
      })
  })
  policy.providers.forEach(({ id, api }, index) => {
    if (api === 'recorded')
      notes.push({
        path: ['providers', index, 'api'],
        message: `${id} answers in a replay alone; elsewhere it has nothing`,
      })
  })
  notes.push(...tightLimits(policy))
  if (!policy.models.some((model) => model.tier === 'frontier'))
    notes.push({ path: ['models'], message: 'there is no frontier model: nothing can escalate' })
  const noFrontier = new Set(policy.tenants.flatMap((tenant) => (tenant.frontierAllowed ? [] : [tenant.id])))
  policy.rules.forEach((rule, index) => {
    if (rule.choose.tier !== 'frontier') return
    const reaches = rule.when.tenant ?? policy.tenants.map((tenant) => tenant.id)
    if (policy.airGapped || reaches.every((tenant) => noFrontier.has(tenant)))
      notes.push({
        path: ['rules', index],
        message: 'has no effect: no step that it matches may go to a frontier model',
      })
  })
  return [...notes, ...scorerNotes(policy)]
}

/** Limits that do not bear a single answer of full length. */
function tightLimits(policy: Policy): PathProblem[] {
  return policy.providers.flatMap((provider, index) =>
    provider.models.flatMap((id) => {
      const model = policy.models.find((each) => each.id === id)
      const window = provider.limits && windowOf(provider.limits, id)
      const most = Math.min(window?.outputTokens ?? Infinity, window?.tokens ?? Infinity)
      if (!model || most >= model.maxOutputTokens) return []
      return [
        {
          path: ['providers', index, 'limits'],
          message: `${id} may write ${model.maxOutputTokens} tokens, and its limits bear ${most}: longer ones are not sent`,
        },
      ]
    }),
  )
}
