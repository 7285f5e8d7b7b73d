import type { StepFacts } from '#lib/events/types.generated'
import type { Policy } from '#lib/policy/schema'
import type { Judgement } from './route-step.ts'
import { reasonsToEscalate, shiftsFor, sumOf } from './threshold.ts'

const FULL_PPM = 1_000_000

/** P(the open model is right): a step below the threshold escalates. Shifts raise the threshold. 0 to 1,000,000. */
export function judgeByChance(facts: StepFacts, basePpm: number, policy: Pick<Policy, 'threshold'>): Judgement {
  const shifts = shiftsFor(facts, policy)
  const sum = basePpm + sumOf(shifts)
  const threshold = { ppm: Math.min(FULL_PPM, sum), terms: [{ name: 'base', ppm: basePpm }, ...shifts] }
  if (facts.pSuccessPpm >= threshold.ppm) return { tier: 'oss', reasons: ['confident'], scale: 'p_success', threshold }
  const reasons = reasonsToEscalate('low_confidence', shifts, (ppm) => facts.pSuccessPpm < sum - ppm)
  return { tier: 'frontier', reasons, scale: 'p_success', threshold }
}

/**
 * What escalation gains, P(the frontier is right) less P(the open model is right): a step at or above what is asked
 * escalates. Shifts lower what is asked. −1,000,000 to 1,000,000.
 */
export function judgeByGain(
  facts: StepFacts,
  gainPpm: number,
  basePpm: number,
  policy: Pick<Policy, 'threshold'>,
): Judgement {
  const shifts = shiftsFor(facts, policy)
  const asked = basePpm - sumOf(shifts)
  const lowered = shifts.map(({ name, ppm }) => ({ name, ppm: -ppm }))
  const threshold = { ppm: Math.max(-FULL_PPM, asked), terms: [{ name: 'base', ppm: basePpm }, ...lowered] }
  if (gainPpm < threshold.ppm) return { tier: 'oss', reasons: ['low_gain'], scale: 'gain', threshold }
  const reasons = reasonsToEscalate('high_gain', shifts, (ppm) => gainPpm >= asked + ppm)
  return { tier: 'frontier', reasons, scale: 'gain', threshold }
}
