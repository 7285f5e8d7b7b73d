import type { StepFacts, ThresholdTerm } from '#lib/events/types.generated'
import type { Judgement } from './route-step.ts'
import { reasonsToEscalate, sumOf, type Shift } from './threshold.ts'

const FULL_PPM = 1_000_000

/** What moves a threshold from its base. */
export interface Moves {
  /** Towards the frontier. */
  shifts: readonly Shift[]
  /** Away from it, since money runs short, ppm. */
  scarcityPpm: number
}

/**
 * P(the open model is right): a step below the threshold escalates. Shifts raise the threshold, scarcity lowers it.
 * 0 to 1,000,000.
 */
export function judgeByChance(facts: StepFacts, basePpm: number, { shifts, scarcityPpm }: Moves): Judgement {
  const sum = basePpm + sumOf(shifts) - scarcityPpm
  const terms = [{ name: 'base', ppm: basePpm }, ...shifts, ...scarcity(-scarcityPpm)]
  const threshold = { ppm: Math.max(0, Math.min(FULL_PPM, sum)), terms }
  if (facts.pSuccessPpm >= threshold.ppm) {
    const reason = facts.pSuccessPpm < Math.min(FULL_PPM, sum + scarcityPpm) ? 'budget_low' : 'confident'
    return { tier: 'oss', reasons: [reason], scale: 'p_success', threshold }
  }
  const reasons = reasonsToEscalate('low_confidence', shifts, (ppm) => facts.pSuccessPpm < sum - ppm)
  return { tier: 'frontier', reasons, scale: 'p_success', threshold }
}

/**
 * What escalation gains, P(the frontier is right) less P(the open model is right): a step at or above what is asked
 * escalates. Shifts lower what is asked, scarcity raises it. −1,000,000 to 1,000,000.
 */
export function judgeByGain(gainPpm: number, basePpm: number, { shifts, scarcityPpm }: Moves): Judgement {
  const asked = basePpm - sumOf(shifts) + scarcityPpm
  const lowered = shifts.map(({ name, ppm }) => ({ name, ppm: -ppm }))
  const terms = [{ name: 'base', ppm: basePpm }, ...lowered, ...scarcity(scarcityPpm)]
  const threshold = { ppm: Math.max(-FULL_PPM, Math.min(FULL_PPM, asked)), terms }
  if (gainPpm < threshold.ppm) {
    const reason = gainPpm >= Math.max(-FULL_PPM, asked - scarcityPpm) ? 'budget_low' : 'low_gain'
    return { tier: 'oss', reasons: [reason], scale: 'gain', threshold }
  }
  const reasons = reasonsToEscalate('high_gain', shifts, (ppm) => gainPpm >= asked + ppm)
  return { tier: 'frontier', reasons, scale: 'gain', threshold }
}

function scarcity(ppm: number): ThresholdTerm[] {
  return ppm === 0 ? [] : [{ name: 'budget_scarcity', ppm }]
}
