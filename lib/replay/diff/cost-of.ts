import type { DecisionOutcome, DecisionRecord } from '#lib/events/types.generated'
import { costMicroUsd } from '#lib/models/prices'
import type { CompiledPolicy } from '#lib/policy/compile-policy'
import type { RecordedAttempt } from './recorded-step.ts'
import type { Cost } from './redecision.ts'

const noCost: Cost = { microUsd: 0, basis: 'none' }

/** What the attempt's calls really cost; where none is known, the most that they may have come to. */
export function recordedCost(outcome: DecisionOutcome, attempt: RecordedAttempt | null): Cost {
  if (outcome.action !== 'route') return noCost
  if (attempt) return { microUsd: attempt.costMicroUsd, basis: 'recorded' }
  return { microUsd: outcome.boundMicroUsd, basis: 'bound' }
}

/**
 * The recorded cost where the step stays with its model at its price. Else an estimate: the tokens that the recorded model
 * read and wrote, at the new model's prices; another model cuts text into other tokens, and writes more or less of them.
 * Where no usage is known: the new outcome's bound.
 */
export function nextCost(
  next: DecisionOutcome,
  policy: CompiledPolicy,
  { record, attempt }: { record: DecisionRecord; attempt: RecordedAttempt | null },
  before: Cost,
  recordedPolicy: CompiledPolicy | undefined,
): Cost {
  if (next.action !== 'route' || next.model === null) return noCost
  const price = policy.index.models.get(next.model)?.model.price
  if (!price) return noCost
  if (next.model === record.outcome.model) {
    const was = recordedPolicy?.index.models.get(next.model)?.model.price
    const samePrice =
      !was ||
      (was.inputMicroUsdPerMTok === price.inputMicroUsdPerMTok &&
        was.outputMicroUsdPerMTok === price.outputMicroUsdPerMTok)
    if (samePrice) return before
  }
  if (!attempt || attempt.completionTokens === 0) return { microUsd: next.boundMicroUsd, basis: 'bound' }
  const promptTokens = attempt.promptTokens > 0 ? attempt.promptTokens : record.facts.promptTokens
  const completionTokens = Math.min(attempt.completionTokens, next.maxOutputTokens)
  return { microUsd: costMicroUsd(price, promptTokens, completionTokens), basis: 'estimate' }
}
