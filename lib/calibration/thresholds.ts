import { ShuntError } from '#lib/errors'
import { formatShare } from './figures-text.ts'
import { gainOfAll, thresholdForBudget, thresholdForShare, toGainPpm, type StepCost } from './frontier-threshold.ts'
import { thresholdForAccuracyLoss } from './risk-control.ts'
import { withBothOutcomes, type ScoredStep } from './scored-step.ts'

/** What a threshold is to achieve. */
export type ThresholdGoal =
  | { type: 'frontier_share'; share: number }
  | { type: 'budget'; usdPerThousandSteps: number; costOf: (step: ScoredStep) => StepCost }
  /** The scores must be of a scorer that has not seen the labels. */
  | { type: 'accuracy_loss'; maxLoss: number; confidence: number; seed: number }

export type Stratification = 'kind' | 'tenant'

export interface StratumThreshold {
  /** Kind or tenant; null for the base, which holds for all others. */
  name: string | null
  /** Steps that it was set on. */
  steps: number
  gainPpm: number
  frontierShare: number
  /** Where the number comes from, as a sentence. */
  origin: string
}

export interface ThresholdSet {
  by: Stratification | null
  base: StratumThreshold
  strata: StratumThreshold[]
}

/** A kind or tenant with fewer labels takes the base: a quantile of fewer steps is off by three points and more. */
export const leastStepsOfStratum = 200

/**
 * Thresholds for all steps, or for each kind or tenant with enough labels and one base for the rest together. Each meets
 * the goal on its own steps, so that no tenant pays for another; over all steps one threshold buys more accuracy for the
 * same share. By kind or by tenant, not both: where two overrides meet, neither promise would hold.
 *
 * A promise of accuracy is made for every part at once: the level is divided by the number of parts (Bonferroni), which
 * the counts of labels alone determine. A part whose labels cannot certify it goes to the frontier model altogether,
 * which loses nothing, so that the promise holds for the whole mix. Where there is one part, that is refused:
 * SHUNT_LABELS_TOO_FEW with the number needed.
 */
export function setThresholds(
  steps: readonly ScoredStep[],
  goal: ThresholdGoal,
  by: Stratification | null = null,
): ThresholdSet {
  const usable = goal.type === 'accuracy_loss' ? withBothOutcomes(steps) : steps
  if (usable.length === 0) throw new ShuntError('SHUNT_LABELS_TOO_FEW', 'no step has what a threshold is set by')
  const strata = by === null ? new Map<string, ScoredStep[]>() : largeStrata(usable, by)
  const covered = new Set([...strata.values()].flat())
  const rest = usable.filter((step) => !covered.has(step))
  const parts = strata.size + 1
  if (parts === 1) return { by: null, base: setThreshold(null, usable, goal, 1), strata: [] }
  return {
    by,
    base: baseOfRest(rest, usable, goal, parts),
    strata: [...strata].map(([name, own]) => certifyOrEscalate(name, own, goal, parts)),
  }
}

/** Whether the step would go to the frontier model, with nothing but its score to move the threshold. */
export function escalates(thresholds: ThresholdSet, step: ScoredStep): boolean {
  return toGainPpm(step.gain) >= gainPpmOf(thresholds, step)
}

/** What is asked of an escalation of the step. */
export function gainPpmOf({ by, base, strata }: ThresholdSet, step: ScoredStep): number {
  const own = by === null ? undefined : strata.find(({ name }) => name === stratumOf(step, by))
  return (own ?? base).gainPpm
}

function stratumOf(step: ScoredStep, by: Stratification): string | null {
  return by === 'kind' ? step.kind : step.tenantId
}

/** By name, so that the order of the labels does not show. */
function largeStrata(steps: readonly ScoredStep[], by: Stratification): Map<string, ScoredStep[]> {
  const found = new Map<string, ScoredStep[]>()
  for (const step of steps) {
    const name = stratumOf(step, by)
    if (name === null) continue
    const own = found.get(name)
    if (own) own.push(step)
    else found.set(name, [step])
  }
  return new Map(
    [...found].filter(([, own]) => own.length >= leastStepsOfStratum).toSorted(([a], [b]) => (a < b ? -1 : 1)),
  )
}

/** Steps of no large stratum; where there is none, a quantile of all serves what comes, but a promise cannot be made. */
function baseOfRest(
  rest: readonly ScoredStep[],
  all: readonly ScoredStep[],
  goal: ThresholdGoal,
  parts: number,
): StratumThreshold {
  if (rest.length > 0) return certifyOrEscalate(null, rest, goal, parts)
  if (goal.type !== 'accuracy_loss') return setThreshold(null, all, goal, parts)
  return {
    name: null,
    steps: 0,
    gainPpm: gainOfAll,
    frontierShare: 1,
    origin: 'no labels of other steps: all escalate',
  }
}

function certifyOrEscalate(
  name: string | null,
  steps: readonly ScoredStep[],
  goal: ThresholdGoal,
  parts: number,
): StratumThreshold {
  try {
    return setThreshold(name, steps, goal, parts)
  } catch (error) {
    if (!(error instanceof ShuntError) || error.code !== 'SHUNT_LABELS_TOO_FEW') throw error
    const origin = `all escalate: ${error.message}`
    return { name, steps: steps.length, gainPpm: gainOfAll, frontierShare: 1, origin }
  }
}

function setThreshold(
  name: string | null,
  steps: readonly ScoredStep[],
  goal: ThresholdGoal,
  parts: number,
): StratumThreshold {
  const gains = steps.map(({ gain }) => gain)
  switch (goal.type) {
    case 'frontier_share': {
      const threshold = thresholdForShare(gains, goal.share)
      const origin = `${formatShare(threshold.frontierShare)} of ${steps.length} steps escalate; asked for were ${formatShare(goal.share)} at most`
      return { name, steps: steps.length, ...threshold, origin }
    }
    case 'budget': {
      const { usdPerThousandSteps, ...threshold } = thresholdForBudget(
        gains,
        goal.usdPerThousandSteps,
        steps.map(goal.costOf),
      )
      const origin = `$${usdPerThousandSteps.toFixed(2)} per thousand steps like these ${steps.length}, ${formatShare(threshold.frontierShare)} of them escalated; asked for were $${goal.usdPerThousandSteps} at most`
      return { name, steps: steps.length, ...threshold, origin }
    }
    case 'accuracy_loss': {
      const { gainPpm, frontierShare, observedLoss, labels } = thresholdForAccuracyLoss(withBothOutcomes(steps), {
        ...goal,
        confidence: 1 - (1 - goal.confidence) / parts,
      })
      const together = parts === 1 ? '' : `, for all ${parts} parts at once`
      const origin = `loses at most ${formatShare(goal.maxLoss)} of all-frontier's accuracy with confidence ${goal.confidence}${together}; ${formatShare(observedLoss)} and ${formatShare(frontierShare)} escalated on ${labels} held-out labels`
      return { name, steps: steps.length, gainPpm, frontierShare, origin }
    }
  }
}
