import { setImmediate as nextTurn } from 'node:timers/promises'
import { requeuedStepOf } from '#lib/dead-letters/requeue-orders'
import type { ControlOrder, LaneResetRecord } from '#lib/events/types.generated'
import type { ChainMark, CommittedHeads, LogEnds } from './chain-marks.ts'
import type { Report } from './findings.ts'
import { awaitCommits, awaitLinks } from './lane-waits.ts'
import { createLogEdges } from './log-edges.ts'
import { decodeBody, type RecordBody } from './record-body.ts'
import type { AuditEntry, AuditSource, SourceRange } from './source.ts'
import { createStepJoin, type StepJoin } from './step-join.ts'
import { decodeRow, encodeRow, rowOfAudit, rowOfRequeue, rowOfResult, type StepBody } from './step-records.ts'
import { createChainVerifier, type ChainCounts, type GivenStart, type VerifiedHead } from './verify-chains.ts'
import { createPolicyCheck, type PolicyCheck } from './verify-policies.ts'
import { verifyStep, type StepLimits, type StepState } from './verify-steps.ts'

export interface VerifyLogOptions {
  range?: SourceRange
  /** What others know of the chains. */
  marks?: readonly ChainMark[]
  /** Of a copy of the log, such as an export: it is judged as of its last record, and not as of now. */
  copy?: { ends: LogEnds; sinceMs?: number | undefined } | undefined
  /** Heads to go on from. */
  from?: readonly VerifiedHead[]
  /** Join each step's records; not of a range by offsets, which cuts steps in two. @default true */
  steps?: boolean
  /** @default one day */
  openForMs?: number
  report: Report
  nowMs: () => number
  signal?: AbortSignal | undefined
  /** Where lanes stand now: what of their chains lies beyond was not written by them. */
  committed?: (() => Promise<CommittedHeads>) | undefined
  /** How long links that a lane has committed and nobody can read yet are waited for, and the other way round. @default 15_000 */
  laneWaitMs?: number
  onReading?: (what: string, entries: number) => void
  onEntry?: (what: string) => void
}

export interface LogSummary extends ChainCounts {
  policies: number
  /** By partition: the offset behind the last record. */
  positions: ReadonlyMap<number, number>
  heads: VerifiedHead[]
  given: GivenStart[]
  /** Null where steps were not looked at. */
  steps: Record<StepState, number> | null
}

const dayMs = 86_400_000
/** Between two of these steps the process looks at its signals. */
const perTurn = 1_000

/**
 * Reads the log once, in memory that does not grow with it: chains against themselves and against marks, policies and
 * scorers against the decisions that name them, and each step's records against each other.
 */
export async function verifyLog(source: AuditSource, options: VerifyLogOptions): Promise<LogSummary> {
  const { range = {}, report, marks = [], from = [], signal } = options
  const startedAtMs = options.nowMs()
  const edges = createLogEdges()
  const chains = createChainVerifier({ report, marks, range, from, ends: options.copy?.ends, starts: edges.starts })
  const policies = createPolicyCheck()
  using join = options.steps === false || range.offsets ? null : createStepJoin()

  async function read(range: SourceRange): Promise<void> {
    const onTotal = (entries: number): void => options.onReading?.('audit', entries)
    for await (const batch of source.audit(range, { signal, onTotal, onStarts: edges.noteStarts }))
      for (const entry of batch) {
        edges.note(entry)
        await takeEntry(entry)
        options.onEntry?.('audit')
      }
  }

  async function takeEntry(entry: AuditEntry): Promise<void> {
    const body = entry.record && (await decodeBody(source.codec, entry, entry.record, report))
    chains.take(entry, resetOf(body))
    if (body?.type === 'decision') policies.take(body.body, entry)
    if (join && body && isOfStep(body)) {
      const { key, row } = rowOfAudit(entry, body)
      join.append(key, encodeRow(row))
    }
    if (body?.type === 'operator') takeOrder(entry, body.body.order)
  }

  function takeOrder(entry: AuditEntry, order: ControlOrder): void {
    const step = requeuedStepOf(order)
    if (!step || !join) return
    const { key, row } = rowOfRequeue(entry, step)
    join.append(key, encodeRow(row))
  }

  await read(range)
  const wait = { waitMs: options.laneWaitMs ?? 15_000, nowMs: options.nowMs, signal }
  await awaitLinks(chains, () => read({ resumeAt: edges.positions }), wait)
  if (options.committed) await awaitCommits(chains, options.committed, { ...wait, report })
  chains.end()
  await checkPolicies(source, policies, report)
  const endMs = Math.min(range.untilMs ?? Infinity, options.copy ? edges.lastMs() : startedAtMs)
  const startMs = edges.keptFromMs(sinceOf(options))
  const steps = join && (await joinSteps(source, join, options, { startMs, endMs }))
  return {
    ...chains.counts(),
    policies: policies.count(),
    positions: edges.positions,
    heads: chains.heads(),
    given: chains.givenStarts(),
    steps,
  }
}

/** Since when there is anything to read. */
function sinceOf({ range, copy }: VerifyLogOptions): number | undefined {
  return range?.sinceMs ?? copy?.sinceMs
}

function resetOf(body: RecordBody | null): LaneResetRecord | null {
  return body?.type === 'lane_reset' ? body.body : null
}

function isOfStep(body: RecordBody): body is StepBody {
  return body.type === 'decision' || body.type === 'attempt' || body.type === 'outcome' || body.type === 'duplicate'
}

async function checkPolicies(source: AuditSource, policies: PolicyCheck, report: Report): Promise<void> {
  for await (const batch of source.policies()) for (const record of batch) policies.keep(record)
  policies.end(report)
}

async function joinSteps(
  source: AuditSource,
  join: StepJoin,
  options: VerifyLogOptions,
  limits: Pick<StepLimits, 'startMs' | 'endMs'>,
): Promise<Record<StepState, number>> {
  const { range = {}, report, signal, openForMs = dayMs } = options
  const results = createLogEdges()
  const onTotal = (entries: number): void => options.onReading?.('results', entries)
  for await (const batch of source.results(range, { signal, onTotal, onStarts: results.noteStarts }))
    for (const entry of batch) {
      results.note(entry)
      const { key, row } = rowOfResult(entry)
      join.append(key, encodeRow(row))
      options.onEntry?.('results')
    }
  const steps: Record<StepState, number> = { complete: 0, duplicate: 0, open: 0, 'not verifiable': 0, wrong: 0 }
  const resultsFromMs = results.isEmptied() ? Infinity : results.keptFromMs(sinceOf(options))
  const all: StepLimits = { ...limits, openForMs, resultsFromMs }
  options.onReading?.('steps', 0)
  let joined = 0
  for (const rows of join.groups()) {
    if (joined++ % perTurn === 0) {
      await nextTurn()
      signal?.throwIfAborted()
    }
    steps[verifyStep(rows.map(decodeRow), all, report)] += 1
    options.onEntry?.('steps')
  }
  return steps
}
