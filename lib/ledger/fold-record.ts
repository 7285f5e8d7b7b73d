import { formatOrigin } from '#lib/audit/records'
import type { Codec } from '#lib/events/codec'
import { parseFeedback } from '#lib/events/parse-step'
import { validateFeedback } from '#lib/events/validate-feedback'
import type { AttemptRecord, AuditRecord, DecisionRecord } from '#lib/events/types.generated'
import { isTransientVerdict, isUnverifiable, verdicts, type Verdict } from '#lib/models/verdicts'
import type { InboundRecord } from '#lib/stream/types'
import type { AttemptEntry, DecisionEntry, Fold, Folded, LogPosition } from './fold.ts'

export interface FoldedRecord {
  tenantId: string
  state: Folded
  /** What an attempt settled above its bound, micro-USD. */
  overMicroUsd: number
}

/** One record of agent.audit into the ledger; null for a type that is of no concern to it. */
export async function foldAuditRecord(
  fold: Fold,
  codec: Pick<Codec, 'decode'>,
  link: AuditRecord,
  at: LogPosition,
): Promise<FoldedRecord | null> {
  switch (link.type) {
    case 'decision': {
      const entry = decisionEntry(await codec.decode('decision-record', link.body))
      return { tenantId: entry.tenantId, state: await fold.decision(entry, at), overMicroUsd: 0 }
    }
    case 'attempt': {
      const entry = attemptEntry(await codec.decode('attempt-record', link.body))
      if (!entry) return null
      return { tenantId: entry.tenantId, ...(await fold.attempt(entry, at)) }
    }
    case 'outcome': {
      const record = await codec.decode('outcome-record', link.body)
      if (!record.origin) return null
      const { tenantId, taskId, finishedAtMs } = record
      const entry = { tenantId, taskId, origin: formatOrigin(record.origin), finishedAtMs }
      return { tenantId, state: await fold.outcome(entry, at), overMicroUsd: 0 }
    }
    case 'duplicate':
    case 'operator':
    case 'policy_activated':
    case 'lane_reset':
    case 'unknown':
      return null
  }
}

/**
 * A caller's verdict, as Avro or JSON. Its time is the caller's word: never later than when the broker or producer had it.
 * Throws SHUNT_EVENT_UNDECODABLE and SHUNT_EVENT_INVALID.
 */
export async function foldFeedback(
  fold: Fold,
  codec: Pick<Codec, 'decode'>,
  record: InboundRecord,
  at: LogPosition,
): Promise<FoldedRecord | null> {
  const feedback = await parseFeedback(record, codec)
  validateFeedback(feedback)
  const { tenantId, taskId, stepId, verdict } = feedback
  if (verdict === 'unknown') return null
  const atMs = Math.max(0, Math.min(feedback.atMs, record.timestampMs))
  const state = await fold.feedback({ tenantId, taskId, stepId, right: verdict === 'right', atMs }, at)
  return { tenantId, state, overMicroUsd: 0 }
}

function decisionEntry(record: DecisionRecord): DecisionEntry {
  const { facts, snapshot, outcome } = record
  return {
    tenantId: facts.tenantId,
    taskId: record.taskId,
    origin: formatOrigin(record.origin),
    attempt: record.attempt,
    boundMicroUsd: outcome.action === 'route' ? outcome.boundMicroUsd : 0,
    taskCapMicroUsd: record.taskCapMicroUsd,
    reservedAtMs: record.reservedAtMs > 0 ? record.reservedAtMs : snapshot.nowMs,
    troubledTools: record.troubledTools,
    kind: facts.kind,
  }
}

/** Null where the record does not name the step's own record, as those of the first release did not. */
function attemptEntry(record: AttemptRecord): AttemptEntry | null {
  const { attempt, origin } = record
  if (!origin) return null
  return {
    tenantId: record.tenantId,
    taskId: record.taskId,
    stepId: record.stepId,
    origin: formatOrigin(origin),
    attempt: attempt.attempt,
    costMicroUsd: attempt.costMicroUsd,
    boundMicroUsd: record.boundMicroUsd,
    reservedAtMs: record.reservedAtMs > 0 ? record.reservedAtMs : attempt.endedAtMs,
    endedAtMs: attempt.endedAtMs,
    ends: record.ends,
    tier: attempt.tier,
    kind: record.kind,
    model: attempt.model,
    tools: record.tools,
    succeeded: succeeded(record),
  }
}

/** Null where the attempt says nothing of the model's answers. A verdict of a later release counts as a failure. */
function succeeded({ attempt, ends }: AttemptRecord): boolean | null {
  const { verdict } = attempt
  if (verdict === 'ok') return true
  if (!ends || attempt.callNo === 0) return null
  // Nobody asked the model.
  if (verdict === ('no_recorded_answer' satisfies Verdict)) return null
  if (!Object.hasOwn(verdicts, verdict)) return false
  // Of a transient cause, or an answer that could not be held against anything.
  return isTransientVerdict(verdict as Verdict) || isUnverifiable(verdict as Verdict) ? null : false
}
