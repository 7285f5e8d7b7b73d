import type { RequeuedStep } from '#lib/dead-letters/requeue-orders'
import type { AttemptRecord, DecisionRecord, DuplicateRecord, OutcomeRecord } from '#lib/events/types.generated'
import type { FoundPlace } from './findings.ts'
import type { AuditEntry, ResultEntry } from './source.ts'
import { stepKey } from './step-join.ts'

/** What the join keeps of each record. The names of a step are only where they may be told. */
export type StepRow = FoundPlace & { tenantId: string; stepId: string } & (
    | { kind: 'decision'; attempt: number }
    | { kind: 'attempt'; attempt: number; callNo: number; costMicroUsd: number }
    | {
        kind: 'outcome' | 'result'
        status: string
        code: string | null
        attempts: number
        costMicroUsd: number
        finishedAtMs: number
      }
    | { kind: 'duplicate' | 'requeue' }
  ) & {
    /** When the step's own record came; null where nobody named it. */
    beganAtMs: number | null
  }

export type StepBody =
  | { type: 'decision'; body: DecisionRecord }
  | { type: 'attempt'; body: AttemptRecord }
  | { type: 'outcome'; body: OutcomeRecord }
  | { type: 'duplicate'; body: DuplicateRecord }

export interface KeyedStepRow {
  key: Buffer
  row: StepRow
}

/** A record of agent.audit as a row of its step. */
export function rowOfAudit({ partition, offset, timestampMs }: AuditEntry, { type, body }: StepBody): KeyedStepRow {
  const tenantId = type === 'decision' ? body.facts.tenantId : body.tenantId
  const { stepId, origin } = body
  const base = { partition, offset, timestampMs, tenantId, stepId, beganAtMs: origin?.receivedAtMs ?? null }
  const key = stepKey(tenantId, stepId, origin)
  switch (type) {
    case 'decision':
      return { key, row: { ...base, kind: type, attempt: body.attempt } }
    case 'attempt': {
      const { attempt, callNo, costMicroUsd } = body.attempt
      return { key, row: { ...base, kind: type, attempt, callNo, costMicroUsd } }
    }
    case 'outcome': {
      const { status, code, attempts, costMicroUsd, finishedAtMs } = body
      return { key, row: { ...base, kind: type, status, code, attempts, costMicroUsd, finishedAtMs } }
    }
    case 'duplicate':
      return { key, row: { ...base, kind: type } }
  }
}

/** A record of agent.results as a row of its step. */
export function rowOfResult(result: ResultEntry): KeyedStepRow {
  const { partition, offset, timestampMs, tenantId, stepId, origin } = result
  const { status, code, attempts, costMicroUsd, finishedAtMs } = result
  const beganAtMs = origin?.receivedAtMs ?? null
  const base = { partition, offset, timestampMs, tenantId, stepId, beganAtMs }
  return {
    key: stepKey(tenantId, stepId, origin),
    row: { ...base, kind: 'result', status, code, attempts, costMicroUsd, finishedAtMs },
  }
}

/** An operator's order, by which a step is decided again, as a row of that step. */
export function rowOfRequeue({ partition, offset, timestampMs }: AuditEntry, step: RequeuedStep): KeyedStepRow {
  const { tenantId, stepId, origin } = step
  const base = { partition, offset, timestampMs, tenantId, stepId, beganAtMs: origin.receivedAtMs }
  return { key: stepKey(tenantId, stepId, origin), row: { ...base, kind: 'requeue' } }
}

export function encodeRow(row: StepRow): Buffer {
  return Buffer.from(JSON.stringify(row))
}

export function decodeRow(bytes: Buffer): StepRow {
  return JSON.parse(bytes.toString()) as StepRow
}
