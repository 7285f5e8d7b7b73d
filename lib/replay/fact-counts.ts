/** What became of facts that were recomputed from the steps' texts. */
export interface FactCounts {
  /** Every fact came out as it was recorded. */
  same: number
  different: number
  /** The step's record lies below the start of its topic: retention or compaction took it. */
  expired: number
  /** The request cannot be opened: the key of its tenant was erased. */
  erased: number
  /** The record at the step's place is another one, or none that a classifier would take. */
  foreign: number
  /** agent.policies has no such policy or scorer. */
  scorerMissing: number
}

export function noFacts(): FactCounts {
  return { same: 0, different: 0, expired: 0, erased: 0, foreign: 0, scorerMissing: 0 }
}
