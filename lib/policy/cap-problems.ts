import { tightenConstraints } from '#lib/events/tenant'
import { costMicroUsd } from '#lib/models/prices'
import { whyUnreachable } from '#lib/routing/constraints'
import type { CompiledPolicy } from './compile-policy.ts'
import type { PathProblem } from './problems.ts'

/** What hardly any step goes below. */
const smallestPromptTokens = 32
const smallestAnswerTokens = 16

/** Caps under which not even the cheapest step of the tenant could ever be answered. */
export function capProblems(policy: CompiledPolicy): PathProblem[] {
  return policy.tenants.flatMap((tenant, at) => {
    const floor = tightenConstraints({ allowedRegions: null, requiredTags: [], frontierAllowed: true }, tenant)
    const costs = [...policy.index.models.values()]
      .filter(({ places }) => whyUnreachable(places, floor, policy) === null)
      .map(({ model }) => ({
        id: model.id,
        microUsd: costMicroUsd(
          model.price,
          smallestPromptTokens,
          Math.min(smallestAnswerTokens, model.maxOutputTokens),
        ),
      }))
    const cheapest = costs.toSorted((a, b) => a.microUsd - b.microUsd)[0]
    if (!cheapest) return []
    return (['taskBudgetMicroUsd', 'dayBudgetMicroUsd'] as const).flatMap((cap) => {
      const microUsd = tenant[cap]
      if (microUsd === null || microUsd >= cheapest.microUsd) return []
      return [
        {
          path: ['tenants', at, cap],
          message: `bears no step at all: the cheapest permitted model, ${cheapest.id}, costs ${cheapest.microUsd} or more; raise it, or leave it out`,
        },
      ]
    })
  })
}
