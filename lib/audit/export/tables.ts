import type { AuditEntry, FeedbackEntry, ResultEntry } from '#lib/audit/source'
import type { EventName } from '#lib/events/subjects'
import type { AuditType, EventTypes, PolicyRecord } from '#lib/events/types.generated'
import { avroColumns } from './avro-columns.ts'
import { column, nullable, type Column } from './columns.ts'

/** The log itself, and what a source reads back. The first nine columns are documented for verifiers: do not rename. */
export const auditColumns: readonly Column<AuditEntry>[] = [
  column('partition', 'int32', ({ partition }) => partition),
  column('offset', 'int64', ({ offset }) => offset),
  column('timestampMs', 'int64', ({ timestampMs }) => timestampMs),
  nullable('chainId', 'string', ({ record }) => record?.chainId),
  nullable('epoch', 'int64', ({ record }) => record?.epoch),
  nullable('seq', 'int64', ({ record }) => record?.seq),
  nullable('prevHash', 'binary', ({ record }) => record?.prevHash),
  nullable('type', 'string', ({ record }) => record?.type),
  nullable('body', 'binary', ({ record }) => record?.body),
  nullable('problem', 'string', ({ problem }) => problem),
  nullable('value', 'binary', ({ value }) => value),
]

export const resultColumns: readonly Column<ResultEntry>[] = [
  column('topic', 'string', ({ topic }) => topic),
  column('partition', 'int32', ({ partition }) => partition),
  column('offset', 'int64', ({ offset }) => offset),
  column('timestampMs', 'int64', ({ timestampMs }) => timestampMs),
  column('tenantId', 'string', ({ tenantId }) => tenantId),
  column('taskId', 'string', ({ taskId }) => taskId),
  column('stepId', 'string', ({ stepId }) => stepId),
  nullable('origin_topic', 'string', ({ origin }) => origin?.topic),
  nullable('origin_partition', 'int32', ({ origin }) => origin?.partition),
  nullable('origin_offset', 'int64', ({ origin }) => origin?.offset),
  nullable('origin_receivedAtMs', 'int64', ({ origin }) => origin?.receivedAtMs),
  column('status', 'string', ({ status }) => status),
  nullable('code', 'string', ({ code }) => code),
  column('attempts', 'int32', ({ attempts }) => attempts),
  column('costMicroUsd', 'int64', ({ costMicroUsd }) => costMicroUsd),
  column('finishedAtMs', 'int64', ({ finishedAtMs }) => finishedAtMs),
]

export const feedbackColumns: readonly Column<FeedbackEntry>[] = [
  column('topic', 'string', ({ topic }) => topic),
  column('partition', 'int32', ({ partition }) => partition),
  column('offset', 'int64', ({ offset }) => offset),
  column('timestampMs', 'int64', ({ timestampMs }) => timestampMs),
  ...avroColumns('step-feedback', ({ feedback }: FeedbackEntry) => feedback),
]

export const policyColumns: readonly Column<PolicyRecord>[] = [
  column('hash', 'string', ({ hash }) => hash),
  column('type', 'string', ({ type }) => type),
  column('part', 'int32', ({ part }) => part),
  column('parts', 'int32', ({ parts }) => parts),
  column('content', 'binary', ({ content }) => content),
]

/** A table for SQL of each type of record: its body decoded, with the place in the log that it is joined by. */
export interface BodyTable {
  table: string
  schema: EventName
}

/** Null: a type that a later release knows. Its records are in the log's own table alone. */
export const bodyTables: Readonly<Record<AuditType, BodyTable | null>> = {
  decision: { table: 'decisions', schema: 'decision-record' },
  attempt: { table: 'attempts', schema: 'attempt-record' },
  outcome: { table: 'outcomes', schema: 'outcome-record' },
  duplicate: { table: 'duplicates', schema: 'duplicate-record' },
  operator: { table: 'orders', schema: 'operator-record' },
  lane_reset: { table: 'resets', schema: 'lane-reset-record' },
  policy_activated: { table: 'activations', schema: 'policy-activated-record' },
  unknown: null,
}

export interface BodyRow {
  entry: AuditEntry
  body: EventTypes[EventName]
}

export function bodyColumns({ schema }: BodyTable): readonly Column<BodyRow>[] {
  return [
    column('auditPartition', 'int32', ({ entry }: BodyRow) => entry.partition),
    column('auditOffset', 'int64', ({ entry }: BodyRow) => entry.offset),
    column('auditTimestampMs', 'int64', ({ entry }: BodyRow) => entry.timestampMs),
    ...avroColumns(schema, ({ body }: BodyRow) => body),
  ]
}

/** Directories that hold nothing but the files of an export. */
export const tableNames: readonly string[] = [
  'audit',
  'results',
  'feedback',
  'policies',
  ...Object.values(bodyTables).flatMap((body) => body?.table ?? []),
]
