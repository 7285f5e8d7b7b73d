import type { Type } from 'avsc'
import type { PolicyLibrary } from '#lib/audit/policy-library'
import type { AuditSource } from '#lib/audit/source'
import { isRetryable, messageOf } from '#lib/errors'
import { avroType } from '#lib/events/avro-type'
import type { DecisionRecord } from '#lib/events/types.generated'
import { engines } from '#lib/routing/decide'
import { fieldDifferences, type FieldDifference } from './field-differences.ts'

/** A decision as it was recorded: what was read of it, and the schema that its bytes were written in. */
export interface RecordedDecision {
  /** As this release reads it: what the writer did not have yet is its default. */
  record: DecisionRecord
  writer: Writer
  /** Confluent-framed, as it lies in the audit. */
  body: Buffer
}

interface Writer {
  type: Type
  /** Its values are of our own form: nothing is defaulted. */
  isOurs: boolean
}

/** How a decision came out that was made again. */
export type Remade =
  | { state: 'same' }
  | { state: 'different'; fields: FieldDifference[] }
  | { state: 'unknown_engine' }
  | { state: 'policy_missing' }

const headerBytes = 5

/**
 * Reads bodies of decisions. Rejects with a retryable error where the registry does not answer; `problem` where the bytes
 * are no decision. Synchronous as soon as the writer's schema is known: a million decisions are not a million promises.
 */
export function createDecisionReader({ codec, schemaById }: Pick<AuditSource, 'codec' | 'schemaById'>) {
  const writers = new Map<number, Writer>()
  const ours = avroType('decision-record')

  function readNow(body: Buffer): RecordedDecision | undefined {
    const record = codec.decodeNow('decision-record', body)
    const writer = record && writers.get(body.readUInt32BE(1))
    return writer && { record, writer, body }
  }

  async function meet(body: Buffer): Promise<RecordedDecision> {
    const record = await codec.decode('decision-record', body)
    const id = body.readUInt32BE(1)
    const type = await schemaById(id)
    // The codec has just read a value of it.
    if (type === undefined || typeof type === 'string') throw new TypeError(`schema id ${id} cannot be used`)
    const writer = { type, isOurs: type.equals(ours) }
    writers.set(id, writer)
    return { record, writer, body }
  }

  return (body: Buffer): RecordedDecision | { problem: string } | Promise<RecordedDecision | { problem: string }> => {
    const bad = (error: unknown): { problem: string } => {
      if (isRetryable(error)) throw error
      return { problem: messageOf(error) }
    }
    try {
      return readNow(body) ?? meet(body).catch(bad)
    } catch (error) {
      return bad(error)
    }
  }
}

/**
 * Makes recorded decisions again: same engine, facts, snapshot and policy, the outcome written into the record in the
 * schema of whoever wrote it, and the bytes compared. Pure but for its scratch buffer.
 */
export function createRemake(library: Pick<PolicyLibrary, 'policy'>) {
  let scratch = Buffer.allocUnsafe(64 * 1024)

  function write({ type }: Writer, value: unknown): Buffer {
    const end = type.encode(value, scratch, headerBytes)
    if (end >= 0) return scratch.subarray(headerBytes, end)
    scratch = Buffer.allocUnsafe(2 * (scratch.length - end))
    return write({ type } as Writer, value)
  }

  return ({ record, writer, body }: RecordedDecision): Remade => {
    const engine = engines.get(record.engineVersion)
    if (!engine) return { state: 'unknown_engine' }
    const policy = library.policy(record.policyHash.toString('hex'))
    if (!policy) return { state: 'policy_missing' }
    const written = body.subarray(headerBytes)
    const outcome = engine(record.facts, record.snapshot, policy)
    const asWritten = writer.isOurs ? record : (writer.type.fromBuffer(written) as DecisionRecord)
    const remade = write(writer, { ...asWritten, outcome })
    if (remade.equals(written)) return { state: 'same' }
    const { outcome: again } = writer.type.fromBuffer(remade) as DecisionRecord
    return { state: 'different', fields: fieldDifferences(asWritten.outcome, again, 'outcome') }
  }
}
