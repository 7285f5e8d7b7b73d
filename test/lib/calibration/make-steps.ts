import type { ScoredStep } from '#lib/calibration/scored-step'

/** A scored step of which only what is named matters. */
export function scoredStep(step: Partial<ScoredStep> = {}): ScoredStep {
  return {
    id: 'step-1',
    kind: 'unknown',
    group: null,
    tenantId: null,
    pSuccess: 0.5,
    gain: 0.1,
    oss: false,
    frontier: true,
    ...step,
  }
}
