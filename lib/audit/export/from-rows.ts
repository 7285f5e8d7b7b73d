import type { AuditEntry, FeedbackEntry, ResultEntry } from '#lib/audit/source'
import type { AuditRecord, PolicyRecord, StepFeedback, StepStatus } from '#lib/events/types.generated'
import type { Row } from './read-groups.ts'

/** Rows of an export's tables (tables.ts) as the entries that they were. */

export function toAuditEntry(row: Row): AuditEntry {
  const { chainId, epoch, seq, prevHash, type, body, problem, value, ...place } = plain(row)
  const at = { topic: 'agent.audit', ...(place as unknown as Omit<Place, 'topic'>) }
  if (typeof chainId !== 'string')
    return { ...at, record: null, problem: String(problem), value: value as Buffer | null }
  return { ...at, record: { chainId, epoch, seq, prevHash, type, body } as AuditRecord, problem: null }
}

export function toResultEntry(row: Row): ResultEntry {
  const { origin_topic, origin_partition, origin_offset, origin_receivedAtMs, status, ...rest } = plain(row)
  const origin =
    typeof origin_topic === 'string'
      ? {
          topic: origin_topic,
          partition: Number(origin_partition),
          offset: Number(origin_offset),
          receivedAtMs: Number(origin_receivedAtMs),
        }
      : null
  return { ...(rest as unknown as Omit<ResultEntry, 'origin' | 'status'>), origin, status: status as StepStatus }
}

export function toFeedbackEntry(row: Row): FeedbackEntry {
  const { topic, partition, offset, timestampMs, ...feedback } = plain(row) as unknown as Place & StepFeedback
  return { topic, partition, offset, timestampMs, feedback }
}

export function toPolicy(row: Row): PolicyRecord {
  return plain(row) as unknown as PolicyRecord
}

interface Place {
  topic: string
  partition: number
  offset: number
  timestampMs: number
}

/** Numbers as numbers, bytes as buffers, and null where there is nothing. Every whole number was a safe one. */
function plain(row: Row): Row {
  const values: Row = {}
  for (const [name, value] of Object.entries(row))
    values[name] =
      typeof value === 'bigint'
        ? Number(value)
        : value instanceof Uint8Array
          ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
          : (value ?? null)
  return values
}
