import { Counter, Histogram, type Registry } from 'prom-client'
import type { Attempt, DecisionOutcome, StepStatus } from '#lib/events/types.generated'

export interface DecisionMetrics {
  decided(outcome: DecisionOutcome): void
}

/** Decisions by where they went, and by each reason that applied: one decision counts once for every reason. */
export function createDecisionMetrics(registry: Registry): DecisionMetrics {
  const registers = [registry]
  const decisions = new Counter({
    name: 'shunt_decisions_total',
    help: 'Decisions, by action, tier and model.',
    labelNames: ['action', 'tier', 'model'],
    registers,
  })
  const reasons = new Counter({
    name: 'shunt_decision_reasons_total',
    help: 'Decisions to which a reason applied, by tier.',
    labelNames: ['tier', 'reason'],
    registers,
  })
  return {
    decided(outcome) {
      const tier = outcome.tier ?? 'none'
      decisions.inc({ action: outcome.action, tier, model: outcome.model ?? 'none' })
      for (const reason of outcome.reasons) reasons.inc({ tier, reason })
    },
  }
}

export interface AttemptMetrics {
  attempted(attempt: Attempt): void
  ended(status: StepStatus): void
}

/** Attempts by verdict, their duration, tokens and cost; and how steps ended here. */
export function createAttemptMetrics(registry: Registry): AttemptMetrics {
  const registers = [registry]
  const labelNames = ['tier', 'model', 'backend'] as const
  const attempts = new Counter({
    name: 'shunt_attempts_total',
    help: 'Attempts, by verdict.',
    labelNames: [...labelNames, 'verdict'],
    registers,
  })
  const seconds = new Histogram({
    name: 'shunt_attempt_seconds',
    help: 'From the start of an attempt to its verdict.',
    labelNames: ['tier', 'model'],
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120],
    registers,
  })
  const tokens = new Counter({
    name: 'shunt_tokens_total',
    help: 'Tokens as the backend or provider counted them.',
    labelNames: [...labelNames, 'direction'],
    registers,
  })
  const cost = new Counter({
    name: 'shunt_cost_micro_usd_total',
    help: 'Cost of attempts at the prices of the policy, micro-USD.',
    labelNames: [...labelNames],
    registers,
  })
  const results = new Counter({
    name: 'shunt_results_total',
    help: 'Steps that ended, by status.',
    labelNames: ['status'],
    registers,
  })
  return {
    attempted(attempt) {
      const labels = { tier: attempt.tier, model: attempt.model, backend: attempt.backend }
      attempts.inc({ ...labels, verdict: attempt.verdict })
      seconds.observe({ tier: attempt.tier, model: attempt.model }, (attempt.endedAtMs - attempt.startedAtMs) / 1_000)
      tokens.inc({ ...labels, direction: 'prompt' }, attempt.promptTokens)
      tokens.inc({ ...labels, direction: 'completion' }, attempt.completionTokens)
      cost.inc(labels, attempt.costMicroUsd)
    },
    ended: (status) => results.inc({ status }),
  }
}
