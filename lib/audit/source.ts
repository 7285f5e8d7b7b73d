import type { Codec } from '#lib/events/codec'
import type { Registry } from '#lib/events/registry'
import type {
  AuditRecord,
  AuditType,
  PolicyRecord,
  StepFeedback,
  StepOrigin,
  StepStatus,
} from '#lib/events/types.generated'

/** Where a record of a source lies, and since when. */
export interface SourcePlace {
  /** agent.audit, without its namespace. */
  topic: string
  partition: number
  offset: number
  timestampMs: number
}

/** A record of the audit. What cannot be decoded is an entry too: whoever verifies has to tell of it. */
export interface AuditEntry extends SourcePlace {
  /** Null where the bytes are no AuditRecord; `problem` says why. */
  record: AuditRecord | null
  problem: string | null
  /** Where `record` is null: the value as it was written, null where it had none. Nothing is lost that way. */
  value?: Buffer | null | undefined
}

/** What stands of a step's end in agent.results or a tenant's own topic for results; no answer text. */
export interface ResultEntry extends SourcePlace {
  tenantId: string
  taskId: string
  stepId: string
  /** Where the step's own record lies; null where a rejected record named none. */
  origin: StepOrigin | null
  status: StepStatus
  code: string | null
  attempts: number
  costMicroUsd: number
  finishedAtMs: number
}

/** A verdict of a caller. */
export interface FeedbackEntry extends SourcePlace {
  feedback: StepFeedback
}

/** What of the log is read. Offsets are those of agent.audit; times bound the records of every topic. */
export interface SourceRange {
  /** Epoch ms, of the records' own timestamps. @default the beginning */
  sinceMs?: number | undefined
  /** Epoch ms, exclusive. @default what is committed when the reading begins */
  untilMs?: number | undefined
  /** By partition of agent.audit: from this offset on, and below that one; other partitions are left out. */
  offsets?: ReadonlyMap<number, { from?: number | undefined; until?: number | undefined }> | undefined
  /** Where a reading of agent.audit goes on that was broken off: below these offsets its partitions are done. */
  resumeAt?: ReadonlyMap<number, number> | undefined
}

export interface SourceReading {
  signal?: AbortSignal | undefined
  /** Told once, before the first batch: an upper bound of the entries. */
  onTotal?: ((entries: number) => void) | undefined
  /**
   * Told once, before the first batch, where it is known: by partition of a topic, `agent.audit/3`, the offset at which what
   * the source holds of it begins. Behind 0, something was before: retention removed it, or another export has it. The
   * first record's offset does not say so, since transactions that were aborted take offsets too.
   */
  onStarts?: ((starts: ReadonlyMap<string, number>) => void) | undefined
  /** Told with each batch: so many more records are behind, those that were left out among them. */
  onProgress?: ((records: number) => void) | undefined
  /** Records of the audit of other types may be left out: who asks for few need not pay for all. @default all */
  types?: readonly AuditType[] | undefined
}

/**
 * The log as an auditor reads it: from Kafka, or from an export. Batches keep memory constant: the next is fetched while
 * one is worked on, and no more. Each partition comes in the order of its offsets; partitions come in any interleaving.
 * Reading throws SHUNT_KAFKA_UNAVAILABLE and SHUNT_REGISTRY_UNAVAILABLE (both retryable), SHUNT_TOPICS_NOT_APPLIED, and
 * SHUNT_EXPORT_DAMAGED for files that do not fit their manifest.
 */
export interface AuditSource extends AsyncDisposable {
  /** For messages: `prod.agent.audit`, or the export's directory. */
  readonly name: string
  /** Decodes values whose writers' schemas the source knows. */
  readonly codec: Pick<Codec, 'decode' | 'decodeNow' | 'peekString'>
  /** The schema that a framed value was written in, to write it again byte for byte. */
  readonly schemaById: Registry['schemaById']
  audit(range: SourceRange, reading?: SourceReading): AsyncIterable<readonly AuditEntry[]>
  results(range: SourceRange, reading?: SourceReading): AsyncIterable<readonly ResultEntry[]>
  feedback(range: SourceRange, reading?: SourceReading): AsyncIterable<readonly FeedbackEntry[]>
  /** All of agent.policies: policies, and scorers in parts. */
  policies(): AsyncIterable<readonly PolicyRecord[]>
}
