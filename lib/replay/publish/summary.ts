import type { StepStatus, Tier } from '#lib/events/types.generated'
import type { RecordedEnd } from './recorded-run.ts'

/** What came of a replay, and how it compares with what was recorded of the same steps. */
export interface ReplaySummary {
  /** Records that were copied. */
  copied: number
  results: number
  /** Copied records that came to nothing but a dead letter. */
  deadLetters: number
  /** Copied records that repeated another one. */
  duplicates: number
  byStatus: Partial<Record<StepStatus, number>>
  /** Of completed and failed steps, by the tier that answered. */
  byTier: Partial<Record<Tier, number>>
  costMicroUsd: number
  /** Attempts that found no recorded answer. */
  notRecorded: number
  /** Steps with a result in both. */
  compared: {
    steps: number
    sameModel: number
    /** One of the two may have had none. */
    otherModel: number
    /** Steps that no model had in either: rejected, refused. */
    noModel: number
    /** `completed to failed`, with how many did. */
    statusChanges: Record<string, number>
    recordedCostMicroUsd: number
    costMicroUsd: number
  }
}

export interface ReplayedEnd extends RecordedEnd {
  /** Attempts whose verdict was no_recorded_answer. */
  notRecorded: number
}

export function createSummary() {
  const summary: ReplaySummary = {
    copied: 0,
    results: 0,
    deadLetters: 0,
    duplicates: 0,
    byStatus: {},
    byTier: {},
    costMicroUsd: 0,
    notRecorded: 0,
    compared: {
      steps: 0,
      sameModel: 0,
      otherModel: 0,
      noModel: 0,
      statusChanges: {},
      recordedCostMicroUsd: 0,
      costMicroUsd: 0,
    },
  }

  return {
    summary,
    /** `recorded` is null where the step had no result when the range was read. */
    add(replayed: ReplayedEnd, recorded: RecordedEnd | null): void {
      const { status, tier, costMicroUsd } = replayed
      summary.results += 1
      summary.byStatus[status] = (summary.byStatus[status] ?? 0) + 1
      if (tier) summary.byTier[tier] = (summary.byTier[tier] ?? 0) + 1
      summary.costMicroUsd += costMicroUsd
      summary.notRecorded += replayed.notRecorded
      if (!recorded) return
      const { compared } = summary
      compared.steps += 1
      if (replayed.model !== recorded.model) compared.otherModel += 1
      else compared[replayed.model === null ? 'noModel' : 'sameModel'] += 1
      compared.recordedCostMicroUsd += recorded.costMicroUsd
      compared.costMicroUsd += costMicroUsd
      if (status === recorded.status) return
      const change = `${recorded.status} to ${status}`
      compared.statusChanges[change] = (compared.statusChanges[change] ?? 0) + 1
    },
  }
}
