import { openAnswers, type Keys, type OpenRequest } from '#lib/erasure/step-texts'
import type { Codec } from '#lib/events/codec'
import { inNamespace, twinFor } from '#lib/events/topics'
import type { ResultsTopic } from '#lib/events/results-topic'
import { bestWeakAnswer, buildStepResult, type StepEnd } from '#lib/events/step-result'
import type { AgentStep, Attempt, DecisionOutcome, StepOrigin } from '#lib/events/types.generated'
import { decisionDraft, formatOrigin, outcomeDraft } from '#lib/audit/records'
import type { PolicyInForce } from '#lib/policy/policy-store'
import { engineVersion } from '#lib/routing/decide'
import { factsOf } from '#lib/routing/facts'
import { extractFeatures, type StepFeatures } from '#lib/routing/features'
import type { Scoring } from '#lib/routing/scoring'
import type { ScoreStep } from '#lib/scoring/score-step'
import type { Handled } from '#lib/stream/types'
import { tenantHeaders } from '#lib/worker/fair-key'
import { countHintTokens, hintOf } from '#lib/worker/hint'
import { decideWithinBudget, type DecideWithinBudgetDeps } from './decide-within-budget.ts'

export interface DecideDeps extends DecideWithinBudgetDeps {
  codec: Pick<Codec, 'encode'>
  namespace: string
  keys: Keys
  resultsTopic: ResultsTopic
  /** Told of each decision, for metrics and log. */
  decided: (outcome: DecisionOutcome, step: AgentStep, attempt: number) => void
  scoreStep: ScoreStep
  /** Told of each score, for the metrics and to see drift. */
  scored: (features: StepFeatures, scoring: Scoring, policy: PolicyInForce) => void
}

/** A step to be decided, anew or again. */
export interface StepToDecide {
  /** As it was published: sealed, perhaps, and so it is written. */
  step: AgentStep
  open: OpenRequest
  origin: StepOrigin
  /** sha256 of the record that was read. */
  contentHash: Buffer
  /** Earlier attempts with their weak answers, first to last. */
  attempts: Attempt[]
}

/**
 * Score and facts into a decision that the budget bears, its outcome into records: the step routed, or its result; and the
 * decision's audit.
 */
export async function decideStep(deps: DecideDeps, input: StepToDecide, policy: PolicyInForce): Promise<Handled> {
  const { step, origin, attempts } = input
  const { request, text } = input.open
  const features = extractFeatures({ kind: step.kind, request: text }, request)
  const scoring = await deps.scoreStep(step, request, features, policy)
  deps.scored(features, scoring, policy)
  const facts = factsOf(step, request, attempts, origin.receivedAtMs, features, scoring)
  // An open model gets no hint: its bound is then a little high.
  facts.promptTokens += countHintTokens(hintOf(await openAnswers(deps.keys, step, attempts), policy.policy))
  const attempt = attempts.length + 1
  const { stepId, taskId, tenantId } = step
  const tools = request.tools?.map((tool) => tool.function.name) ?? []
  const inLedger = { tenantId, taskId, origin: formatOrigin(origin), attempt, tools }
  const decided = await decideWithinBudget(deps, inLedger, facts, step, policy.policy)
  const { outcome, snapshot, reservedAtMs } = decided
  deps.decided(outcome, step, attempt)

  const decision = decisionDraft(deps.codec, {
    stepId,
    taskId,
    origin,
    contentHash: input.contentHash,
    attempt,
    engineVersion,
    policyHash: Buffer.from(policy.hash, 'hex'),
    scorerHash: scoring.scorerHash === null ? null : Buffer.from(scoring.scorerHash, 'hex'),
    facts,
    snapshot,
    outcome,
    reservedAtMs,
    taskCapMicroUsd: decided.taskCapMicroUsd,
    reservationRounds: decided.rounds,
    budgetWaitMs: decided.waitedMs,
    troubledTools: [...features.trace.troubledTools],
  })

  if (outcome.action === 'route' && outcome.tier !== null && outcome.model !== null) {
    const flow = outcome.tier === 'oss' ? 'agent.steps.oss' : 'agent.steps.frontier'
    const value = deps.codec.encode('routed-step', {
      step,
      origin,
      decision: {
        attempt,
        tier: outcome.tier,
        model: outcome.model,
        reasons: outcome.reasons,
        pSuccessPpm: facts.pSuccessPpm,
        thresholdPpm: outcome.thresholdPpm,
        policyHash: policy.hash,
        scorerHash: scoring.scorerHash,
        engineVersion,
        maxOutputTokens: outcome.maxOutputTokens,
        boundMicroUsd: outcome.boundMicroUsd,
        decidedAtMs: snapshot.nowMs,
        gainPpm: facts.gainPpm,
        thresholdOn: outcome.thresholdOn,
        reservedAtMs,
      },
      attempts,
    })
    const topic = inNamespace(deps.namespace, twinFor(flow, step.priority))
    return { records: [{ topic, key: step.taskId, value, headers: tenantHeaders(step.tenantId) }], audit: [decision] }
  }

  const result = buildStepResult(step, origin, attempts, endOf(outcome, attempts, policy.hash, snapshot.nowMs))
  const value = deps.codec.encode('step-result', result)
  const topic = deps.resultsTopic(tenantId)
  return { records: [{ topic, key: step.taskId, value }], audit: [decision, outcomeDraft(deps.codec, result)] }
}

const statusOf = { refuse: 'refused', expire: 'expired', fail: 'failed' } as const

function endOf(outcome: DecisionOutcome, attempts: Attempt[], policyHash: string, nowMs: number): StepEnd {
  if (outcome.action === 'unknown' || outcome.action === 'route')
    throw new TypeError(`decide() answered ${outcome.action} without a model`)
  const weak = outcome.action === 'fail' ? bestWeakAnswer(attempts) : null
  return {
    status: statusOf[outcome.action],
    code: outcome.code,
    message: null,
    answer: weak?.answer ?? null,
    answeredBy: weak,
    reasons: outcome.reasons,
    policyHash,
    finishedAtMs: nowMs,
  }
}
