import { Counter, Histogram, type Registry } from 'prom-client'
import type { PolicyInForce } from '#lib/policy/policy-store'
import type { StepFeatures } from '#lib/routing/features'
import { observables, observableNames, observe, type ObservableName } from '#lib/routing/observables'
import type { Scoring } from '#lib/routing/scoring'
import type { ScorerDrift } from './scorer-drift.ts'

export interface ScoreMetrics {
  scored(features: StepFeatures, scoring: Scoring, policy: Pick<PolicyInForce, 'trained'>): void
}

/** Scores by kind, what they were made from, and whose they are; the trained scorer's go on to the drift watch. */
export function createScoreMetrics(deps: { registry: Registry; drift: ScorerDrift }): ScoreMetrics {
  const registers = [deps.registry]
  const scores = new Counter({
    name: 'shunt_scores_total',
    help: 'Scores, by whose they are and why the HTTP scorer of the policy was not the one (none: it was, or there is none).',
    labelNames: ['scored_by', 'fallback'],
    registers,
  })
  const chance = new Histogram({
    name: 'shunt_scorer_p_success',
    help: 'P(the open model is right), by kind of step.',
    labelNames: ['kind'],
    buckets: [...observables.pSuccess.edges],
    registers,
  })
  const gain = new Histogram({
    name: 'shunt_scorer_gain',
    help: 'What escalation gains, by kind of step, where the scorer can tell.',
    labelNames: ['kind'],
    buckets: [...observables.gain.edges],
    registers,
  })
  const inputs = observableNames
    .filter((name) => name !== 'pSuccess' && name !== 'gain')
    .map((name) => ({
      name,
      histogram: new Histogram({
        name: `shunt_scorer_input_${snakeCase(name)}`,
        help: observables[name].help,
        buckets: [...observables[name].edges],
        registers,
      }),
    }))

  return {
    scored(features, { score, scoredBy, fallback }, { trained }) {
      const observed = observe(features, score)
      scores.inc({ scored_by: scoredBy, fallback: fallback ?? 'none' })
      chance.observe({ kind: features.kind }, observed.pSuccess)
      if (score.gainPpm !== null) gain.observe({ kind: features.kind }, observed.gain)
      for (const { name, histogram } of inputs) histogram.observe(observed[name])
      if (trained && scoredBy !== 'http')
        deps.drift.scored(features.kind, scoredBy === 'trained' ? observed : null, trained)
    },
  }
}

function snakeCase(name: ObservableName): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
