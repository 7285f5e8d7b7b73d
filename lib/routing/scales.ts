import type { StepFacts, ThresholdTerm } from '#lib/events/types.generated'
import type { Policy } from '#lib/policy/schema'
import type { Reason } from './reasons.ts'
import { countFailures } from './rules.ts'

const FULL_PPM = 1_000_000

export interface Threshold {
  /** Below it a step escalates. 0 to 1,000,000. */
  ppm: number
  /** What it is made of; their sum, kept in range, is `ppm`. */
  terms: ThresholdTerm[]
}

/** Terms that raise the threshold, each with the reason that a decision gives when it did. */
export const raisingTerms = {
  prior_failures: 'prior_failure',
  trace_trouble: 'trace_trouble',
  tool_ambiguity: 'ambiguous_tools',
} as const satisfies Record<string, Reason>

/** A term below this share is recorded and, unless it tipped the scales, not named as a reason. */
const materialPpm = 50_000

/** The threshold of the policy, moved by what is known of the step. */
export function thresholdFor(facts: StepFacts, policy: Pick<Policy, 'threshold'>): Threshold {
  const { pSuccessPpm, priorFailurePpm, traceTroublePpm, toolAmbiguityPpm } = policy.threshold
  const terms = [
    { name: 'base', ppm: pSuccessPpm },
    { name: 'prior_failures', ppm: Math.min(FULL_PPM, priorFailurePpm * countFailures(facts)) },
    { name: 'trace_trouble', ppm: share(traceTroublePpm, facts.traceTroublePpm) },
    { name: 'tool_ambiguity', ppm: share(toolAmbiguityPpm, facts.toolAmbiguityPpm) },
  ]
  let ppm = 0
  for (const term of terms) ppm += term.ppm
  return { ppm: Math.min(FULL_PPM, ppm), terms: terms.filter((term) => term.name === 'base' || term.ppm > 0) }
}

/** Why a step whose P(success) is below the threshold is: the base alone, and each term that is material or decisive. */
export function reasonsBelow(pSuccessPpm: number, { terms }: Threshold): Reason[] {
  let sum = 0
  for (const term of terms) sum += term.ppm
  const found: Reason[] = []
  for (const term of terms) {
    if (term.name === 'base') {
      if (pSuccessPpm < term.ppm) found.push('low_confidence')
    } else if (term.ppm >= materialPpm || pSuccessPpm >= sum - term.ppm)
      found.push(raisingTerms[term.name as keyof typeof raisingTerms])
  }
  // Several small terms, none of them decisive alone.
  return found.length > 0 ? found : terms.slice(1).map((term) => raisingTerms[term.name as keyof typeof raisingTerms])
}

/** full × part, both in ppm, rounded down. */
function share(fullPpm: number, partPpm: number): number {
  return Math.floor((fullPpm * partPpm) / FULL_PPM)
}
