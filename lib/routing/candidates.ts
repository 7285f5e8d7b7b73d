import type { EffectiveConstraints } from '#lib/events/tenant'
import type { LedgerSnapshot, RemovedModel, StepFacts } from '#lib/events/types.generated'
import { costMicroUsd } from '#lib/models/prices'
import type { CompiledPolicy, ReachableModel } from '#lib/policy/compile-policy'
import type { PolicyModel, PolicyTenant } from '#lib/policy/schema'
import { whyUnreachable } from './constraints.ts'
import type { RemovalReason } from './reasons.ts'

const FULL_PPM = 1_000_000

/** A step that asks for more room than this goes on with less, rather than to no model. */
const leastAnswerTokens = 64

/** A model that may and can take the step. */
export interface Candidate {
  model: PolicyModel
  /** Forced onto the request. */
  maxOutputTokens: number
  /** Upper bound of what one answer costs. */
  boundMicroUsd: number
}

export interface Candidates {
  /** In the policy's order. */
  left: Candidate[]
  removed: (RemovedModel & { reason: RemovalReason })[]
}

/** All models of the policy, either left or removed with the first reason: constraints, then ability, then money. */
export function findCandidates(
  facts: StepFacts,
  constraints: EffectiveConstraints,
  budgetLeftMicroUsd: number | null,
  policy: CompiledPolicy,
): Candidates {
  const candidates: Candidates = { left: [], removed: [] }
  for (const reachable of policy.index.models.values()) {
    const found = assess(reachable, facts, constraints, budgetLeftMicroUsd, policy)
    if (typeof found === 'string') candidates.removed.push({ model: reachable.model.id, reason: found })
    else candidates.left.push(found)
  }
  return candidates
}

function assess(
  { model, places }: ReachableModel,
  facts: StepFacts,
  constraints: EffectiveConstraints,
  budgetLeftMicroUsd: number | null,
  policy: CompiledPolicy,
): Candidate | RemovalReason {
  const forbidden = whyUnreachable(places, constraints, policy)
  if (forbidden !== null) return forbidden
  if (facts.toolCount > 0 && !model.tools) return 'no_tool_support'
  if (facts.imageCount > 0 && !model.images) return 'no_image_support'

  const wanted = Math.min(facts.maxOutputTokens ?? model.maxOutputTokens, model.maxOutputTokens)
  const room = model.contextTokens - facts.promptTokens
  if (room < Math.min(wanted, leastAnswerTokens)) return 'context_too_small'
  const maxOutputTokens = Math.min(wanted, room)

  const boundMicroUsd = boundOf(model, facts.promptTokens, maxOutputTokens)
  if (budgetLeftMicroUsd !== null && boundMicroUsd > budgetLeftMicroUsd) return 'budget_exhausted'
  return { model, maxOutputTokens, boundMicroUsd }
}

/** Upper bound of one answer: the prompt's estimate with the model's margin, and the longest answer. */
function boundOf(model: PolicyModel, promptTokens: number, maxOutputTokens: number): number {
  const prompt = Math.ceil((promptTokens * model.tokenMarginPpm) / FULL_PPM)
  return costMicroUsd(model.price, prompt, maxOutputTokens)
}

/**
 * What the step may still cost; null: any amount. The ledger's figure, where there is one, knows the whole task and the
 * tenant's day. The caps named by step and tenant hold without it too, for what this step alone has cost so far.
 */
export function budgetLeft(facts: StepFacts, snapshot: LedgerSnapshot, tenant: PolicyTenant): number | null {
  // The ledger knows these caps, and an operator may have raised one.
  if (snapshot.taskSteps !== null) return snapshot.budgetLeftMicroUsd
  let spent = 0
  for (const attempt of facts.priorAttempts) spent += attempt.costMicroUsd
  let left = snapshot.budgetLeftMicroUsd
  for (const cap of [facts.taskBudgetMicroUsd, tenant.taskBudgetMicroUsd, tenant.dayBudgetMicroUsd])
    if (cap !== null) left = Math.min(left ?? Infinity, Math.max(0, cap - spent))
  return left
}
