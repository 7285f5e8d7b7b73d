/** What a verification of the audit can find, each told apart from the others. Explained in docs/audit-format.md. */
export type FindingCode =
  | 'record_undecodable'
  | 'body_undecodable'
  | 'link_changed'
  | 'link_missing'
  | 'links_swapped'
  | 'link_repeated'
  | 'chain_in_two_partitions'
  | 'epoch_unexplained'
  | 'tail_truncated'
  | 'chain_missing'
  | 'history_rewritten'
  | 'last_link_changed'
  | 'link_uncommitted'
  | 'anchor_unreadable'
  | 'anchor_foreign_key'
  | 'anchor_bad_signature'
  | 'anchor_wrong_namespace'
  | 'anchor_out_of_line'
  | 'policy_missing'
  | 'policy_rewritten'
  | 'scorer_missing'
  | 'scorer_rewritten'
  | 'decision_missing'
  | 'decision_repeated'
  | 'attempt_missing'
  | 'attempt_repeated'
  | 'cost_differs'
  | 'outcome_missing'
  | 'outcome_repeated'
  | 'result_missing'
  | 'result_repeated'
  | 'result_differs'

/** Where a record lies: in agent.audit, or in the topic that the message names. */
export interface FoundPlace {
  partition: number
  offset: number
  timestampMs: number
}

export interface Finding {
  code: FindingCode
  /** One sentence that names the records. */
  message: string
  chainId: string | null
  epoch: number | null
  seq: number | null
  /** Of the record that shows it; null for what is not there at all. */
  place: FoundPlace | null
}

export type Report = (finding: Finding) => void

/** `3/17`: partition and offset. */
export function formatPlace({ partition, offset }: Pick<FoundPlace, 'partition' | 'offset'>): string {
  return `${partition}/${offset}`
}

/** A finding that is of no one chain. */
export function findingOf(code: FindingCode, message: string, place: FoundPlace | null = null): Finding {
  return { code, message, chainId: null, epoch: null, seq: null, place: place && placeOf(place) }
}

/** The place alone, of a record that has more. */
export function placeOf({ partition, offset, timestampMs }: FoundPlace): FoundPlace {
  return { partition, offset, timestampMs }
}

/** Findings as they come, of which only the first so many are kept; the earliest by its record's time is always known. */
export function createFindings(most: number): {
  report: Report
  kept: Finding[]
  count: () => number
  first: () => Finding | null
} {
  const kept: Finding[] = []
  let count = 0
  let first: Finding | null = null
  const timeOf = (finding: Finding): number => finding.place?.timestampMs ?? Infinity
  return {
    kept,
    count: () => count,
    first: () => first,
    report(finding) {
      count += 1
      if (kept.length < most) kept.push(finding)
      if (first === null || timeOf(finding) < timeOf(first)) first = finding
    },
  }
}
