import { createChain, formatHead, parseHead, type ChainHead } from '#lib/audit/chain'
import type { ChainMark } from '#lib/audit/chain-marks'
import type { Finding } from '#lib/audit/findings'
import type { AuditEntry } from '#lib/audit/source'
import { createChainVerifier, type ChainVerifierOptions } from '#lib/audit/verify-chains'
import type { LaneResetRecord } from '#lib/events/types.generated'
import type { AuditDraft } from '#lib/stream/types'
import { localCodec } from './local-codec.ts'

const codec = await localCodec()
const chain = createChain({ topic: 'agent.audit', encode: (link) => codec.encode('audit-record', link) })

/** A record of agent.audit as the topic holds it. */
export interface RawRecord {
  partition: number
  offset: number
  timestampMs: number
  value: Buffer
}

/** The end of a step, as a body that tells one number from another. */
export function outcome(number: number): AuditDraft {
  const body = codec.encode('outcome-record', {
    stepId: `step-${number}`,
    taskId: 'task',
    tenantId: 'tenant',
    origin: { topic: 'agent.steps', partition: 0, offset: number, receivedAtMs: 1_000 },
    status: 'completed',
    code: null,
    attempts: 1,
    costMicroUsd: number,
    finishedAtMs: 2_000,
  })
  return { type: 'outcome', body }
}

/** A log that lanes write, link by link; timestamps ascend over all partitions. */
export function createChainLog() {
  const records: RawRecord[] = []
  const heads = new Map<string, string>()

  function append(partition: number, values: readonly (Buffer | null)[]): void {
    for (const value of values) {
      const offset = records.filter((record) => record.partition === partition).length
      records.push({ partition, offset, timestampMs: 10_000 + records.length, value: value! })
    }
  }

  return {
    records,
    write(chainId: string, partition: number, drafts: readonly AuditDraft[]): void {
      const sealed = chain.seal(chainId, heads.get(chainId) ?? null, drafts)
      heads.set(chainId, sealed.head)
      append(
        partition,
        sealed.records.map(({ value }) => value),
      )
    },
    /** As `shunt lanes recover` does it. */
    reset(chainId: string, partition: number, changed: Partial<LaneResetRecord> = {}): void {
      const last = headOf(chainId)
      const body = codec.encode('lane-reset-record', {
        lastEpoch: last.epoch,
        lastSeq: last.seq,
        lastHash: last.hash,
        reason: 'offsets were lost',
        atMs: 1,
        ...changed,
      })
      const start = formatHead({ epoch: last.epoch + 1, seq: 0, hash: Buffer.alloc(32) })
      const sealed = chain.seal(chainId, start, [{ type: 'lane_reset', body }])
      heads.set(chainId, sealed.head)
      append(
        partition,
        sealed.records.map(({ value }) => value),
      )
    },
    /** What the lanes have committed, or an anchor of now names. */
    marks(by: ChainMark['by'] = 'anchor'): ChainMark[] {
      return [...heads.keys()].map((chainId) => ({
        by,
        chainId,
        ...headOf(chainId),
        atMs: 20_000,
        place: placeOf(chainId),
      }))
    },
  }

  function headOf(chainId: string): ChainHead {
    return parseHead(heads.get(chainId)!)
  }

  function placeOf(chainId: string): ChainMark['place'] {
    const last = records.findLast(({ value }) => codec.decodeNow('audit-record', value)?.chainId === chainId)!
    return { partition: last.partition, offset: last.offset }
  }
}

/** As a source gives it. */
export function entryOf({ partition, offset, timestampMs, value }: RawRecord): AuditEntry {
  const place = { topic: 'agent.audit', partition, offset, timestampMs }
  try {
    const record = codec.decodeNow('audit-record', value) ?? null
    return { ...place, record, problem: record ? null : 'a schema that nobody knows', ...(!record && { value }) }
  } catch (error) {
    return { ...place, record: null, problem: (error as Error).message, value }
  }
}

/** Findings of the records as they are, in their order. */
export function verifyRecords(records: readonly RawRecord[], options: Omit<ChainVerifierOptions, 'report'> = {}) {
  const findings: Finding[] = []
  const verifier = createChainVerifier({ ...options, report: (finding) => findings.push(finding) })
  for (const record of records) {
    const entry = entryOf(record)
    verifier.take(entry, resetOf(entry))
  }
  verifier.end()
  return { findings, codes: findings.map(({ code }) => code), verifier }
}

function resetOf({ record }: AuditEntry): LaneResetRecord | null {
  if (record?.type !== 'lane_reset') return null
  try {
    return codec.decodeNow('lane-reset-record', record.body) ?? null
  } catch {
    return null
  }
}
