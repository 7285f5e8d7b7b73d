import { withBothOutcomes, type ScoredStep } from './scored-step.ts'
import { escalates, type ThresholdSet } from './thresholds.ts'

/** A threshold, and what it does to the steps that are reported on. */
export interface MarkedThreshold {
  set: ThresholdSet
  frontierShare: number
  accuracy: number
}

/** null where no step has both outcomes. */
export function markThreshold(set: ThresholdSet, steps: readonly ScoredStep[]): MarkedThreshold | null {
  const both = withBothOutcomes(steps)
  if (both.length === 0) return null
  let sent = 0
  let right = 0
  for (const step of both) {
    const escalated = escalates(set, step)
    sent += Number(escalated)
    right += Number(escalated ? step.frontier : step.oss)
  }
  return { set, frontierShare: sent / both.length, accuracy: right / both.length }
}
