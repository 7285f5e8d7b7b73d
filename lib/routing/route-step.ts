import type { ErrorCode } from '#lib/errors'
import { tightenConstraints } from '#lib/events/tenant'
import type {
  DecisionAction,
  DecisionOutcome,
  LedgerSnapshot,
  RemovedModel,
  StepFacts,
  ThresholdScale,
  Tier,
} from '#lib/events/types.generated'
import type { CompiledPolicy } from '#lib/policy/compile-policy'
import type { PolicyRule } from '#lib/policy/schema'
import { budgetLeft, findCandidates, type Candidate, type Candidates } from './candidates.ts'
import { deadlineOf } from './deadline.ts'
import { constraintReasons, type Reason } from './reasons.ts'
import { firstMatch } from './rules.ts'
import type { Threshold } from './threshold.ts'

/** What the score says of a step, before constraints, ability and money have their say. */
export interface Judgement {
  tier: Tier
  reasons: Reason[]
  /** What the threshold is held against. */
  scale: Exclude<ThresholdScale, 'unknown'>
  threshold: Threshold
}

/** What else a judge may look at. */
export interface JudgeContext {
  snapshot: LedgerSnapshot
  /** Models that may and can take the step, in the policy's order. */
  candidates: readonly Candidate[]
}

/** The part in which the versions of the engine differ. Pure and total. */
export type Judge = (facts: StepFacts, policy: CompiledPolicy, context: JudgeContext) => Judgement

/**
 * Where a step goes. Order: what ends the step; hard constraints; ability; money; rules; the score; the model. Every
 * version of the engine runs through here, so what is written here never changes either: the goldens of all versions
 * hold it to its bytes.
 */
export function routeStep(
  judge: Judge,
  facts: StepFacts,
  snapshot: LedgerSnapshot,
  policy: CompiledPolicy,
): DecisionOutcome {
  const tenant = policy.index.tenants.get(facts.tenantId)
  if (!tenant) return end('refuse', 'SHUNT_TENANT_UNKNOWN', ['tenant_unknown'])
  if (facts.priorAttempts.length >= policy.limits.maxAttempts)
    return end('fail', 'SHUNT_ATTEMPTS_EXHAUSTED', ['attempts_exhausted'])
  if (snapshot.nowMs >= deadlineOf(facts, policy)) return end('expire', 'SHUNT_DEADLINE_PASSED', ['deadline'])

  const constraints = tightenConstraints(facts, tenant)
  const candidates = findCandidates(facts, constraints, budgetLeft(facts, snapshot, tenant), policy)
  const judgement = judge(facts, policy, { snapshot, candidates: candidates.left })
  const rule = firstMatch(policy.rules, facts)
  const seen = { rule: rule?.name ?? null, judgement, removed: candidates.removed }
  if (rule?.choose.tier === 'refuse') return end('refuse', 'SHUNT_RULE_REFUSED', ['rule'], seen)
  if (candidates.left.length === 0)
    return end(
      'refuse',
      codeOfNone(candidates),
      candidates.removed.map(({ reason }) => reason),
      seen,
    )

  const wish = wishOf(judgement, rule)
  if (wish.tier === 'frontier' && policy.budget.whenExhausted === 'refuse' && isPricedOut(candidates, policy))
    return end('refuse', 'SHUNT_BUDGET_EXHAUSTED', [...wish.reasons, 'budget_exhausted'], seen)

  const ranked = rank(candidates.left, wish, facts, snapshot)
  const chosen = ranked[0]!.candidate
  return {
    action: 'route',
    code: null,
    tier: chosen.model.tier,
    model: chosen.model.id,
    reasons: explain(chosen, wish, ranked, candidates.removed, policy),
    rule: seen.rule,
    thresholdPpm: judgement.threshold.ppm,
    terms: judgement.threshold.terms,
    removed: candidates.removed,
    maxOutputTokens: chosen.maxOutputTokens,
    boundMicroUsd: chosen.boundMicroUsd,
    thresholdOn: judgement.scale,
  }
}

/** What the step should get if every model could take it. */
interface Wish {
  tier: Tier
  /** To be tried first in the tier. */
  model: string | null
  reasons: Reason[]
}

function wishOf({ tier, reasons }: Judgement, rule: PolicyRule | null): Wish {
  if (rule && rule.choose.tier !== 'refuse')
    return { tier: rule.choose.tier, model: rule.choose.model ?? null, reasons: ['rule'] }
  return { tier, model: null, reasons }
}

/** How much speaks against a model; the classes do not mix, so that no wish outweighs a failure of this very step. */
const standing = { fresh: 0, failedInPassing: 1, unreachable: 2, failed: 3 } as const

interface Ranked {
  candidate: Candidate
  standing: number
  /** 0 for the wished model, 1 for the wished tier, 2 for the other. */
  offWish: number
  /** In the policy's list. */
  order: number
}

/** Best first: by standing, then by the wish, then in the policy's order. */
function rank(left: Candidate[], wish: Wish, facts: StepFacts, snapshot: LedgerSnapshot): Ranked[] {
  return left
    .map((candidate, order): Ranked => ({
      candidate,
      standing: standingOf(candidate.model.id, facts, snapshot),
      offWish: candidate.model.tier !== wish.tier ? 2 : candidate.model.id === wish.model ? 0 : 1,
      order,
    }))
    .toSorted((a, b) => a.standing - b.standing || byWish(a, b))
}

function byWish(a: Ranked, b: Ranked): number {
  return a.offWish - b.offWish || a.order - b.order
}

function standingOf(model: string, facts: StepFacts, snapshot: LedgerSnapshot): number {
  let worst: number = snapshot.unavailableModels.includes(model) ? standing.unreachable : standing.fresh
  for (const attempt of facts.priorAttempts)
    if (attempt.model === model) worst = Math.max(worst, attempt.transient ? standing.failedInPassing : standing.failed)
  return worst
}

/** They speak for the open model: without a meaning where the step goes elsewhere all the same. */
const contentReasons: ReadonlySet<Reason> = new Set<Reason>(['confident', 'low_gain', 'budget_low'])

/** The wish's reasons, then why each model that the wish would have put before the chosen one did not get the step. */
function explain(
  chosen: Candidate,
  wish: Wish,
  ranked: readonly Ranked[],
  removed: Candidates['removed'],
  policy: CompiledPolicy,
): Reason[] {
  const offTier = chosen.model.tier !== wish.tier
  const found = new Set<Reason>(offTier ? wish.reasons.filter((reason) => !contentReasons.has(reason)) : wish.reasons)
  if (offTier) {
    const tier = policy.index.byTier[wish.tier]
    if (tier.length === 0) found.add('no_model_in_tier')
    for (const { model, reason } of removed)
      if (policy.index.models.get(model)?.model.tier === wish.tier) found.add(reason)
  } else if (wish.model !== null && chosen.model.id !== wish.model)
    for (const { model, reason } of removed) if (model === wish.model) found.add(reason)
  for (const other of ranked)
    if (byWish(other, ranked[0]!) < 0)
      found.add(other.standing === standing.unreachable ? 'breaker_open' : 'prior_failure')
  return [...found]
}

function isPricedOut({ left, removed }: Candidates, policy: CompiledPolicy): boolean {
  const isFrontier = (model: string) => policy.index.models.get(model)?.model.tier === 'frontier'
  return (
    !left.some(({ model }) => model.tier === 'frontier') &&
    removed.some(({ model, reason }) => reason === 'budget_exhausted' && isFrontier(model))
  )
}

/** Why nothing is left, by what would have to change: money, the request, or the constraints. */
function codeOfNone({ removed }: Candidates): ErrorCode {
  if (removed.some(({ reason }) => reason === 'budget_exhausted')) return 'SHUNT_BUDGET_EXHAUSTED'
  return removed.every(({ reason }) => reason in constraintReasons) ? 'SHUNT_NO_MODEL_PERMITTED' : 'SHUNT_NO_MODEL_FITS'
}

function end(
  action: Exclude<DecisionAction, 'route' | 'unknown'>,
  code: ErrorCode,
  reasons: readonly Reason[],
  seen: { rule: string | null; judgement: Judgement; removed: RemovedModel[] } | null = null,
): DecisionOutcome {
  return {
    action,
    code,
    tier: null,
    model: null,
    reasons: [...new Set(reasons)],
    rule: seen?.rule ?? null,
    thresholdPpm: seen?.judgement.threshold.ppm ?? 0,
    terms: seen?.judgement.threshold.terms ?? [],
    removed: seen?.removed ?? [],
    maxOutputTokens: 0,
    boundMicroUsd: 0,
    thresholdOn: seen?.judgement.scale ?? 'p_success',
  }
}
