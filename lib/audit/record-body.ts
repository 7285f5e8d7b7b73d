import { isRetryable, messageOf } from '#lib/errors'
import type { Codec } from '#lib/events/codec'
import { eventNames, type EventName } from '#lib/events/subjects'
import type { AuditRecord, AuditType, EventTypes } from '#lib/events/types.generated'
import { formatPlace, placeOf, type Report } from './findings.ts'
import type { AuditEntry } from './source.ts'

/** Types whose bodies a verifier looks into. */
interface KnownBodies {
  decision: EventTypes['decision-record']
  attempt: EventTypes['attempt-record']
  outcome: EventTypes['outcome-record']
  duplicate: EventTypes['duplicate-record']
  operator: EventTypes['operator-record']
  lane_reset: EventTypes['lane-reset-record']
}

export type RecordBody =
  | { [Type in keyof KnownBodies]: { type: Type; body: KnownBodies[Type] } }[keyof KnownBodies]
  | { type: Exclude<AuditType, keyof KnownBodies>; body: unknown }

/** The schema of a type's body is named after it: that of lane_reset is lane-reset-record. */
const schemas: ReadonlyMap<string, EventName> = new Map(
  eventNames.map((name) => [name.replace(/-record$/, '').replaceAll('-', '_'), name]),
)

/** Null, and reported, where the bytes are no record of the type; null for a type without a schema. */
export async function decodeBody(
  codec: Pick<Codec, 'decode' | 'decodeNow'>,
  entry: AuditEntry,
  { type, body, chainId, epoch, seq }: AuditRecord,
  report: Report,
): Promise<RecordBody | null> {
  const schema = schemas.get(type)
  if (schema === undefined) return null
  try {
    // Without waiting, but for a schema that is met for the first time: an await costs as much as the decoding.
    return { type, body: codec.decodeNow(schema, body) ?? (await codec.decode(schema, body)) } as RecordBody
  } catch (error) {
    if (isRetryable(error)) throw error
    const what = `${chainId}: the body of epoch ${epoch} seq ${seq} at ${formatPlace(entry)} cannot be decoded`
    const message = `${what}: ${messageOf(error)}`
    report({ code: 'body_undecodable', message, chainId, epoch, seq, place: placeOf(entry) })
    return null
  }
}
