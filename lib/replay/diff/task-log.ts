import type { AuditSource, SourceRange } from '#lib/audit/source'
import type { StepJoin } from '#lib/audit/step-join'
import type { DecisionRecord, StepFeedback } from '#lib/events/types.generated'
import { ShuntError } from '#lib/errors'
import type { NewScore, TaskRows, Verdict } from './recorded-step.ts'
import { readRow, taskKey, taskRow } from './task-row.ts'

type Source = Pick<AuditSource, 'codec' | 'audit' | 'feedback'>

/** What a scorer made of a step's text. */
export interface ScoredStep {
  taskId: string
  stepId: string
  origin: { topic: string; partition: number; offset: number }
  score: NewScore
}

export interface TaskLogOptions {
  range: SourceRange
  signal: AbortSignal
  /** Told of the bound of what is to be read, and then of what was. */
  reading: (what: string) => { total(count: number): void; at(count: number): void; end(): void }
}

export interface TaskLogCounts {
  decisions: number
  /** Records that cannot be decoded: `shunt audit verify` says which. */
  unreadable: number
}

const tags = { decision: 'd', attempt: 'a', verdict: 'v', score: 's' } as const
const nowhere = { partition: 0, offset: 0 }

/**
 * What a range tells of decisions, attempts and callers' verdicts, into the join: bodies as they were written, decoded once
 * when their task is worked on. Offsets bound decisions alone: what came of them lies in other partitions. Feedback is
 * read from the range's beginning to its own end: it comes days later.
 */
export async function readTaskLog(
  source: Source,
  join: Pick<StepJoin, 'append'>,
  { range, signal, reading }: TaskLogOptions,
): Promise<TaskLogCounts> {
  const counts: TaskLogCounts = { decisions: 0, unreadable: 0 }
  const { sinceMs, untilMs, offsets } = range
  await inProgress(reading('audit'), async (progress) => {
    const passed = createOffsetCount()
    const types = ['decision', 'attempt'] as const
    for await (const batch of source.audit({ sinceMs, untilMs }, { signal, onTotal: progress.total, types })) {
      for (const { record, partition, offset } of batch) {
        if (record === null) counts.unreadable += 1
        else if (record.type === 'attempt' || (record.type === 'decision' && isWithin(offsets, partition, offset))) {
          const name = record.type === 'decision' ? 'decision-record' : 'attempt-record'
          const ids = peekIds(source, name, record.body) ?? (await decodeIds(source, name, record.body))
          if (ids === null) counts.unreadable += 1
          else {
            join.append(taskKey(ids), taskRow(tags[record.type], { partition, offset }, record.body))
            counts.decisions += Number(record.type === 'decision')
          }
        }
      }
      progress.at(passed(batch))
    }
  })
  await inProgress(reading('feedback'), async (progress) => {
    let read = 0
    for await (const batch of source.feedback({ sinceMs }, { signal, onTotal: progress.total })) {
      for (const { feedback } of batch) appendJson(join, tags.verdict, feedback, verdictOf(feedback))
      progress.at((read += batch.length))
    }
  })
  return counts
}

/** Decisions of a range that a scorer has still to look at, a batch of the source at a time. */
export async function* readDecisions(
  source: Pick<Source, 'codec' | 'audit'>,
  { range: { offsets, ...times }, signal }: Pick<TaskLogOptions, 'range' | 'signal'>,
  wants: (record: DecisionRecord) => boolean,
): AsyncGenerator<DecisionRecord[]> {
  for await (const batch of source.audit(times, { signal, types: ['decision'] })) {
    const found: DecisionRecord[] = []
    for (const { record, partition, offset } of batch) {
      if (record?.type !== 'decision' || !isWithin(offsets, partition, offset)) continue
      try {
        const decision =
          source.codec.decodeNow('decision-record', record.body) ??
          (await source.codec.decode('decision-record', record.body))
        if (wants(decision)) found.push(decision)
      } catch (error) {
        // Counted where its task is worked on.
        if (!(error instanceof ShuntError) || error.retryable) throw error
      }
    }
    if (found.length > 0) yield found
  }
}

export function appendScore(join: Pick<StepJoin, 'append'>, { taskId, stepId, origin, score }: ScoredStep): void {
  appendJson(join, tags.score, { taskId, stepId }, { origin, score })
}

/** Decodes the rows of a group. What cannot be decoded was counted before, or is told of the decisions it leaves out. */
export async function decodeGroup(
  { codec }: Pick<Source, 'codec'>,
  rows: readonly Buffer[],
  onUnreadable: () => void,
): Promise<TaskRows> {
  const decoded = {
    decisions: [] as TaskRows['decisions'][number][],
    attempts: [] as TaskRows['attempts'][number][],
    verdicts: [] as Verdict[],
    scores: [] as TaskRows['scores'][number][],
  }
  for (const row of rows) {
    const { tag, place, body } = readRow(row)
    try {
      if (tag === tags.decision) {
        const record = codec.decodeNow('decision-record', body) ?? (await codec.decode('decision-record', body))
        decoded.decisions.push({ record, place })
      } else if (tag === tags.attempt)
        decoded.attempts.push(codec.decodeNow('attempt-record', body) ?? (await codec.decode('attempt-record', body)))
      else if (tag === tags.verdict) decoded.verdicts.push(JSON.parse(body.toString()) as Verdict)
      else decoded.scores.push(JSON.parse(body.toString()) as TaskRows['scores'][number])
    } catch (error) {
      if (!(error instanceof ShuntError) || error.retryable) throw error
      onUnreadable()
    }
  }
  return decoded
}

function isWithin(offsets: SourceRange['offsets'], partition: number, offset: number): boolean {
  if (!offsets) return true
  const bounds = offsets.get(partition)
  return bounds !== undefined && offset >= (bounds.from ?? 0) && offset < (bounds.until ?? Infinity)
}

interface Ids {
  taskId: string
  stepId: string
}

function peekIds({ codec }: Source, name: 'decision-record' | 'attempt-record', body: Buffer): Ids | null {
  const taskId = codec.peekString(name, 'taskId', body)
  const stepId = codec.peekString(name, 'stepId', body)
  return taskId === null || stepId === null ? null : { taskId, stepId }
}

/** Null for what cannot be decoded. */
async function decodeIds(
  { codec }: Source,
  name: 'decision-record' | 'attempt-record',
  body: Buffer,
): Promise<Ids | null> {
  try {
    return await codec.decode(name, body)
  } catch (error) {
    if (error instanceof ShuntError && !error.retryable) return null
    throw error
  }
}

function verdictOf({ tenantId, stepId, verdict, atMs }: StepFeedback): Verdict {
  return { tenantId, stepId, verdict, atMs }
}

function appendJson(join: Pick<StepJoin, 'append'>, tag: string, { taskId, stepId }: Ids, value: unknown): void {
  join.append(taskKey({ taskId, stepId }), taskRow(tag, nowhere, Buffer.from(JSON.stringify(value))))
}

/** How many offsets were passed: types that nobody asked for are left out of batches, and count in the total. */
function createOffsetCount(): (batch: readonly { partition: number; offset: number }[]) => number {
  const positions = new Map<number, number>()
  let passed = 0
  return (batch) => {
    for (const { partition, offset } of batch) {
      passed += offset + 1 - (positions.get(partition) ?? offset)
      positions.set(partition, offset + 1)
    }
    return passed
  }
}

/** Ends the progress however the work ends. */
export async function inProgress<P extends { end(): void }, T>(
  progress: P,
  work: (progress: P) => Promise<T>,
): Promise<T> {
  try {
    return await work(progress)
  } finally {
    progress.end()
  }
}
