import type { StepFacts, ThresholdTerm } from '#lib/events/types.generated'
import type { Policy } from '#lib/policy/schema'
import type { Reason } from './reasons.ts'
import { countFailures } from './rules.ts'

const FULL_PPM = 1_000_000

export interface Threshold {
  ppm: number
  /** What it is made of: the base, then each shift that applies. Their sum, kept on the scale, is `ppm`. */
  terms: ThresholdTerm[]
}

/** What makes a step escalate sooner, each with the reason that a decision gives when it did. */
const shiftReasons = {
  prior_failures: 'prior_failure',
  trace_trouble: 'trace_trouble',
  tool_ambiguity: 'ambiguous_tools',
  task_failures: 'failure_memory',
  tool_failures: 'failure_memory',
  kind_failures: 'failure_memory',
  model_failures: 'failure_memory',
} as const satisfies Record<string, Reason>

/** By how much the threshold moves towards the frontier, and why. Above 0. */
export interface Shift {
  name: keyof typeof shiftReasons
  ppm: number
}

/** Every shift that the step itself gives cause for. */
export function shiftsFor(facts: StepFacts, { threshold }: Pick<Policy, 'threshold'>): Shift[] {
  const shifts: Shift[] = [
    { name: 'prior_failures', ppm: Math.min(FULL_PPM, threshold.priorFailurePpm * countFailures(facts)) },
    { name: 'trace_trouble', ppm: share(threshold.traceTroublePpm, facts.traceTroublePpm) },
    { name: 'tool_ambiguity', ppm: share(threshold.toolAmbiguityPpm, facts.toolAmbiguityPpm) },
  ]
  return shifts.filter(({ ppm }) => ppm > 0)
}

export function sumOf(terms: readonly { ppm: number }[]): number {
  let sum = 0
  for (const { ppm } of terms) sum += ppm
  return sum
}

/** A shift below this share is recorded and, unless it tipped the scales, not named as a reason. */
const materialPpm = 50_000

/**
 * Why a step escalates: by its score alone, and by each shift that is material or decisive.
 * `escalatesWithout` tells whether it would if the shifts were smaller by so much in all.
 */
export function reasonsToEscalate(
  byScore: Reason,
  shifts: readonly Shift[],
  escalatesWithout: (ppm: number) => boolean,
): Reason[] {
  const found: Reason[] = escalatesWithout(sumOf(shifts)) ? [byScore] : []
  for (const { name, ppm } of shifts) if (ppm >= materialPpm || !escalatesWithout(ppm)) found.push(shiftReasons[name])
  // Several small shifts, none of them decisive alone.
  return found.length > 0 ? found : shifts.map(({ name }) => shiftReasons[name])
}

/** full × part, both in ppm, rounded down. */
export function share(fullPpm: number, partPpm: number): number {
  return Math.floor((fullPpm * partPpm) / FULL_PPM)
}
