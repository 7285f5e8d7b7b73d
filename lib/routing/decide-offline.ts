import type { AgentStep } from '#lib/events/types.generated'
import { validateStep } from '#lib/events/validate-step'
import type { LoadedPolicy } from '#lib/policy/load'
import { decide, engineVersion } from './decide.ts'
import { explainToolAmbiguity } from './explain-tools.ts'
import { readStep } from './facts.ts'
import { noLedger } from './no-ledger.ts'
import type { Scorer } from './score.ts'

/** A decision as a line of JSON. */
export type OfflineDecision = Record<string, unknown>

/**
 * What the classifier would decide on a step's first attempt at `nowMs`, with nothing known of budgets, failures and
 * providers. `explain` adds all that the decision was made from. Throws as `validateStep` does.
 */
export function decideOffline(
  step: AgentStep,
  loaded: LoadedPolicy,
  scorer: Scorer,
  nowMs: number,
  explain: boolean,
): OfflineDecision {
  const { request, stripped } = validateStep(step, loaded.policy)
  const { facts, features, scoring } = readStep(step, request, [], nowMs, scorer)
  const outcome = decide(facts, noLedger(nowMs), loaded.policy)
  const { action, code, tier, model, reasons, rule, thresholdPpm, terms, removed, ...bounds } = outcome
  return {
    stepId: step.stepId,
    taskId: step.taskId,
    tenantId: step.tenantId,
    action,
    code,
    tier,
    model,
    reasons,
    rule,
    pSuccessPpm: facts.pSuccessPpm,
    gainPpm: facts.gainPpm,
    scoredBy: facts.scoredBy,
    scorerHash: scoring.scorerHash,
    thresholdPpm,
    ...bounds,
    ...(explain && {
      terms,
      score: scoring.score.parts,
      ambiguity: explainToolAmbiguity(request),
      removed,
      features,
      stripped,
      facts,
    }),
    engineVersion,
    policyHash: loaded.hash,
  }
}
