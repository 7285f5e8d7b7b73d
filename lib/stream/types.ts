import type { StepIds } from '#lib/events/step-error'
import type { AuditType } from '#lib/events/types.generated'

/** A record as it lies in its partition. */
export interface InboundRecord {
  topic: string
  partition: number
  offset: number
  key: Buffer | null
  value: Buffer | null
  headers: Readonly<Record<string, Buffer | string | undefined>>
  /** The broker's or producer's timestamp, epoch milliseconds. */
  timestampMs: number
  /** Whose step it is, once a handler has read it: a failure's line in the log names it. */
  ids?: StepIds
}

/** A record to be written in the lane's next transaction. */
export interface OutboundRecord {
  topic: string
  /** Never absent: a retry runs the partitioner again, and a keyless record would move. */
  key: string | Buffer
  value: Buffer | null
  headers?: Record<string, string | Buffer>
  /** Send in a gzip-compressed batch of its own: dead letters, whose bytes may exceed the topic's limit. */
  compress?: boolean
}

/** A link for the lane's audit chain; the lane gives it seq and prevHash when the transaction is built. */
export interface AuditDraft {
  type: AuditType
  /** Confluent-framed Avro of the type's record. */
  body: Buffer
}

/** What handling a record leads to, written together with its offset in one transaction. */
export interface Handled {
  records: OutboundRecord[]
  audit?: AuditDraft[]
}

/**
 * Work of a stage on one record. Runs concurrently with others, outside any transaction.
 * `signal` aborts when the lane is lost or the drain's grace is over; its reason is then of no interest.
 *
 * A thrown error with `retryable` true leaves the record in place and runs it again later, for ever.
 * Any other error goes to the stage's `reject`, which must not throw.
 */
export type Handle = (record: InboundRecord, signal: AbortSignal) => Promise<Handled>

/** Makes the dead letter, and the result where the step can be named, of a record that cannot be handled. */
export type Reject = (record: InboundRecord, error: unknown) => Promise<Handled>

/**
 * The audit chain, as a lane needs it. Pure: called as often as a transaction is built anew, always from the head that
 * was committed last. The head is opaque to the lane and rides in its commits.
 */
export interface Journal {
  seal(chainId: string, head: string | null, drafts: readonly AuditDraft[]): { records: OutboundRecord[]; head: string }
}
