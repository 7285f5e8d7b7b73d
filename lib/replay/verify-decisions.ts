import type { PolicyLibrary } from '#lib/audit/policy-library'
import type { AuditEntry, AuditSource, SourcePlace, SourceRange, SourceReading } from '#lib/audit/source'
import type { DecisionRecord } from '#lib/events/types.generated'
import type { FieldDifference } from './field-differences.ts'
import { createDecisionReader, createRemake, type RecordedDecision, type Remade } from './remake-decision.ts'

export interface DecisionCounts {
  /** Decisions that were asked for and can be read. */
  decisions: number
  /** Came out byte for byte. */
  same: number
  different: number
  /** Of an engine that this release does not have: a newer one decided. */
  unknownEngine: number
  /** agent.policies has no policy of that hash, which is an error of the log. */
  policyMissing: number
  /** Records of the audit, or bodies of decisions, that are none. */
  undecodable: number
}

/** A record that does not come out, and where it lies. */
export interface Finding extends SourcePlace {
  what:
    | 'different'
    | 'facts_different'
    | 'facts_foreign'
    | 'scorer_missing'
    | 'unknown_engine'
    | 'policy_missing'
    | 'undecodable'
  /** Null where the record cannot be read. */
  stepId: string | null
  attempt: number | null
  /** Without any text of a step: the audit has none. Empty where the same values are written in other bytes. */
  fields: FieldDifference[]
  /** The hash that is missing, the engine that is unknown, why it cannot be decoded. */
  detail: string | null
}

/** How far a verification is: what a later one needs to go on. */
export interface VerifyProgress {
  /** Next offset of each partition of agent.audit. */
  positions: Map<number, number>
  counts: DecisionCounts
}

export interface VerifyOptions extends SourceReading {
  range: SourceRange
  filter?: ((record: DecisionRecord) => boolean) | undefined
  /** Goes on from there, and is kept up to date: after each batch it says what is done. */
  progress: VerifyProgress
  onFinding: (finding: Finding) => void
  /** After each batch, with the offsets of agent.audit that it took. */
  onBatch?: ((offsets: number) => void | Promise<void>) | undefined
  /** Given the decisions of a batch, after they were made again. What it counts, it counts when it has all. */
  alsoCheck?: ((decisions: readonly PlacedDecision[]) => Promise<void>) | undefined
}

export interface PlacedDecision extends RecordedDecision {
  place: SourcePlace
}

export function noDecisions(): DecisionCounts {
  return { decisions: 0, same: 0, different: 0, unknownEngine: 0, policyMissing: 0, undecodable: 0 }
}

/** Where more is read for each decision, so many records of the audit are taken together. */
const gatheredEntries = 6_000

/** Makes every decision of the range again. Throws as the source does; `progress` is then that of the last whole batch. */
export async function verifyDecisions(
  source: Pick<AuditSource, 'audit' | 'codec' | 'schemaById'>,
  library: Pick<PolicyLibrary, 'policy'>,
  options: VerifyOptions,
): Promise<void> {
  const { range, filter, signal, onTotal, alsoCheck } = options
  const { positions, counts } = options.progress
  const readDecision = createDecisionReader(source)
  const remake = createRemake(library)

  async function verifyBatch(entries: readonly AuditEntry[], from: ReadonlyMap<number, number>): Promise<Batch> {
    const batch: Batch = { counts: noDecisions(), findings: [], decisions: [] }
    for (const entry of entries) {
      if (entry.offset < (from.get(entry.partition) ?? 0)) continue
      const { record } = entry
      if (record === null) {
        batch.counts.undecodable += 1
        batch.findings.push(findingOf(entry, 'undecodable', { detail: entry.problem }))
        continue
      }
      if (record.type !== 'decision') continue
      const reading = readDecision(record.body)
      const read = reading instanceof Promise ? await reading : reading
      if ('problem' in read) {
        batch.counts.undecodable += 1
        batch.findings.push(findingOf(entry, 'undecodable', { detail: read.problem }))
      } else if (!filter || filter(read.record)) {
        judge(batch, entry, read.record, remake(read))
        if (alsoCheck) batch.decisions.push({ ...read, place: entry })
      }
    }
    return batch
  }

  const from = new Map(positions)
  const batches = source.audit({ ...range, resumeAt: from }, { signal, onTotal, types: ['decision'] })
  for await (const entries of alsoCheck ? gather(batches, gatheredEntries) : batches) {
    const batch = await verifyBatch(entries, from)
    await alsoCheck?.(batch.decisions)
    // From here on nothing waits: whoever is broken off has done a batch whole, or not at all.
    for (const name of Object.keys(counts) as (keyof DecisionCounts)[]) counts[name] += batch.counts[name]
    batch.findings.forEach(options.onFinding)
    let passed = 0
    for (const { partition, offset } of entries) {
      passed += offset + 1 - (positions.get(partition) ?? offset)
      positions.set(partition, offset + 1)
    }
    await options.onBatch?.(passed)
  }
}

interface Batch {
  counts: DecisionCounts
  findings: Finding[]
  decisions: PlacedDecision[]
}

function judge({ counts, findings }: Batch, place: SourcePlace, record: DecisionRecord, remade: Remade): void {
  const { stepId, attempt } = record
  counts.decisions += 1
  switch (remade.state) {
    case 'same':
      counts.same += 1
      return
    case 'different':
      counts.different += 1
      findings.push(findingOf(place, 'different', { stepId, attempt, fields: remade.fields }))
      return
    case 'unknown_engine':
      counts.unknownEngine += 1
      findings.push(findingOf(place, 'unknown_engine', { stepId, attempt, detail: String(record.engineVersion) }))
      return
    case 'policy_missing':
      counts.policyMissing += 1
      findings.push(findingOf(place, 'policy_missing', { stepId, attempt, detail: record.policyHash.toString('hex') }))
  }
}

export function findingOf(
  { topic, partition, offset, timestampMs }: SourcePlace,
  what: Finding['what'],
  more: Partial<Finding>,
): Finding {
  return { topic, partition, offset, timestampMs, what, stepId: null, attempt: null, fields: [], detail: null, ...more }
}

async function* gather<T>(batches: AsyncIterable<readonly T[]>, least: number): AsyncGenerator<readonly T[]> {
  let gathered: T[] = []
  for await (const batch of batches) {
    gathered.push(...batch)
    if (gathered.length < least) continue
    yield gathered
    gathered = []
  }
  if (gathered.length > 0) yield gathered
}
