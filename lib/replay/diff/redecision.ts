import type { DecisionOutcome } from '#lib/events/types.generated'
import type { RecordedDecision } from './recorded-step.ts'
import type { RegionsLeft } from './regions.ts'

/** Where a decision sent its step. */
export const standings = ['oss', 'frontier', 'refused', 'failed', 'expired', 'unknown'] as const
export type Standing = (typeof standings)[number]

/**
 * What a cost stands on. `recorded`: calls that were made. `bound`: the most that it may come to, where no call is known.
 * `estimate`: the recorded tokens at the prices of another model. `none`: no call.
 */
export type CostBasis = 'recorded' | 'bound' | 'estimate' | 'none'

export interface Cost {
  microUsd: number
  basis: CostBasis
}

export interface Side {
  outcome: DecisionOutcome
  standing: Standing
  cost: Cost
  pSuccessPpm: number
  gainPpm: number | null
}

/** Whose score a decision was made on again. */
export type ScoreUsed =
  /** The policy asks the scorer that was asked before. */
  | 'same'
  /** The step's text was scored anew. */
  | 'anew'
  /** Another scorer is asked for, and the text is gone, or the scorer is not one that runs here. */
  | 'kept'

/** A recorded decision beside what the new policy makes of it. */
export interface Redecision {
  taskId: string
  tenantId: string
  decision: RecordedDecision
  before: Side
  /** Null: the attempt would not have come about, since an earlier one of the step goes elsewhere. */
  after: Side | null
  score: ScoreUsed
  /** Whether the recorded answer was right; null where nobody said, nor its form shows it. */
  right: boolean | null
  /** Said by a caller, or shown by the answer's form. */
  rightBy: 'feedback' | 'verification' | null
  /** Null where the policy that decided is not known any more. */
  recordedPolicyKnown: boolean
  regionsLeft: RegionsLeft | null
}

export function standingOf({ action, tier }: DecisionOutcome): Standing {
  switch (action) {
    case 'route':
      return tier ?? 'unknown'
    case 'refuse':
      return 'refused'
    case 'fail':
      return 'failed'
    case 'expire':
      return 'expired'
    case 'unknown':
      return 'unknown'
  }
}

/** Whether the step goes elsewhere. Reasons and thresholds may differ all the same. */
export function isMoved(before: Side, after: Side): boolean {
  return before.standing !== after.standing || before.outcome.model !== after.outcome.model
}
