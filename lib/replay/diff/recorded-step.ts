import type { StepOrigin, AttemptRecord, DecisionRecord, FeedbackVerdict } from '#lib/events/types.generated'

/** Where a record of agent.audit lies. */
export interface AuditPlace {
  partition: number
  offset: number
}

/** What a scorer says of a step's text, for facts. */
export interface NewScore {
  pSuccessPpm: number
  gainPpm: number | null
  scoredBy: string
}

/** The verdict of a caller on a step; it names no record of the step. */
export interface Verdict {
  tenantId: string
  stepId: string
  verdict: FeedbackVerdict
  atMs: number
}

/** What calls of one decision brought: all records of the attempt together. */
export interface RecordedAttempt {
  /** Of all its calls, the lost ones too. */
  costMicroUsd: number
  /** Of the call that ended it. */
  promptTokens: number
  completionTokens: number
  verdict: string
  confidencePpm: number | null
  standIn: boolean
  region: string
  endedAtMs: number
}

export interface RecordedDecision {
  record: DecisionRecord
  place: AuditPlace
  /** Null: not in the range, or never made. */
  attempt: RecordedAttempt | null
}

/** All that the range tells of one record of agent.steps. */
export interface RecordedStep {
  tenantId: string
  stepId: string
  origin: StepOrigin
  /** By number of the attempt. */
  decisions: RecordedDecision[]
  /** The last verdict of a caller; null where there is none. */
  right: boolean | null
  /** By the new scorer; null where it was not asked, or the text is gone. */
  score: NewScore | null
}

/** The rows of one task, decoded. */
export interface TaskRows {
  decisions: readonly { record: DecisionRecord; place: AuditPlace }[]
  attempts: readonly AttemptRecord[]
  verdicts: readonly Verdict[]
  scores: readonly { origin: Pick<StepOrigin, 'topic' | 'partition' | 'offset'>; score: NewScore }[]
}
