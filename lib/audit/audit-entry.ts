import { ShuntError } from '#lib/errors'
import type { Codec } from '#lib/events/codec'
import type { AuditRecord, AuditType } from '#lib/events/types.generated'
import type { AuditEntry, SourcePlace } from './source.ts'

/**
 * A record of agent.audit as an entry: at once, but for a schema that is met for the first time. Throws what is retryable;
 * bytes that are no AuditRecord are an entry too.
 */
export function auditEntry(
  codec: Pick<Codec, 'decode' | 'decodeNow' | 'peekString'>,
  value: Buffer | null,
  { topic, partition, offset, timestampMs }: SourcePlace,
): AuditEntry | Promise<AuditEntry> {
  const entryOf = (record: AuditRecord): AuditEntry => ({
    topic,
    partition,
    offset,
    timestampMs,
    record: record.type === 'unknown' ? { ...record, type: typeAsWritten(codec, value) } : record,
    problem: null,
  })
  const bad = (error: unknown): AuditEntry => {
    if (!(error instanceof ShuntError) || error.retryable) throw error
    return { topic, partition, offset, timestampMs, record: null, problem: error.message, value }
  }
  try {
    const known = codec.decodeNow('audit-record', value)
    return known ? entryOf(known) : codec.decode('audit-record', value).then(entryOf, bad)
  } catch (error) {
    return bad(error)
  }
}

/** A type that a later release knows decodes as `unknown`; the link's hash is over its own name. */
function typeAsWritten(codec: Pick<Codec, 'peekString'>, value: Buffer | null): AuditType {
  return ((value && codec.peekString('audit-record', 'type', value)) ?? 'unknown') as AuditType
}
