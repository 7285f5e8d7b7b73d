import type { AuditSource, SourceRange } from '#lib/audit/source'
import type { StepJoin } from '#lib/audit/step-join'
import type { DecisionRecord, StepFeedback } from '#lib/events/types.generated'
import { ShuntError } from '#lib/errors'
import type { NewScore, TaskRows, Verdict } from './recorded-step.ts'
import { createTaskMarks } from './task-marks.ts'
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
/** By how much the clock of who called a model may be behind that of who decided. */
const clockMarginMs = 60_000
const nowhere = { partition: 0, offset: 0 }

/**
 * What a range tells of decisions, attempts and callers' verdicts, into the join: bodies as they were written, decoded once
 * when their task is worked on. Offsets bound decisions alone: what came of them lies in other partitions, and is looked
 * for there from the first of them on. Feedback is read from the range's beginning to its own end: it comes days later.
 */
export async function readTaskLog(
  source: Source,
  join: Pick<StepJoin, 'append'>,
  { range, signal, reading }: TaskLogOptions,
): Promise<TaskLogCounts> {
  const counts: TaskLogCounts = { decisions: 0, unreadable: 0 }
  const { untilMs, offsets } = range
  let { sinceMs } = range
  const decided = offsets && createTaskMarks()
  let firstMs = Infinity

  async function readAudit(what: string, of: SourceRange, types: readonly ('decision' | 'attempt')[]): Promise<void> {
    await inProgress(reading(what), async (progress) => {
      const passed = createOffsetCount()
      for await (const batch of source.audit(of, { signal, onTotal: progress.total, types })) {
        for (const { record, partition, offset, timestampMs } of batch) {
          if (record === null) counts.unreadable += 1
          else if (types.some((type) => type === record.type)) {
            const isDecision = record.type === 'decision'
            const name = isDecision ? 'decision-record' : 'attempt-record'
            const ids = peekIds(source, name, record.body) ?? (await decodeIds(source, name, record.body))
            if (ids === null) counts.unreadable += 1
            else if (isDecision) {
              counts.decisions += 1
              decided?.add(ids.taskId)
              firstMs = Math.min(firstMs, timestampMs)
              join.append(taskKey(ids), taskRow(tags.decision, { partition, offset }, record.body))
            } else if (decided?.has(ids.taskId) ?? true)
              join.append(taskKey(ids), taskRow(tags.attempt, { partition, offset }, record.body))
          }
        }
        progress.at(passed(batch))
      }
    })
  }

  if (offsets) {
    await readAudit('decisions', range, ['decision'])
    if (counts.decisions === 0) return counts
    sinceMs = Math.max(sinceMs ?? -Infinity, firstMs - clockMarginMs)
    const { unreadable } = counts
    await readAudit('attempts', { sinceMs, untilMs }, ['attempt'])
    // Outside the offsets that were asked for, or counted before.
    counts.unreadable = unreadable
  } else await readAudit('audit', range, ['decision', 'attempt'])

  await inProgress(reading('feedback'), async (progress) => {
    let read = 0
    for await (const batch of source.feedback({ sinceMs }, { signal, onTotal: progress.total })) {
      for (const { feedback } of batch)
        if (decided?.has(feedback.taskId) ?? true) appendJson(join, tags.verdict, feedback, verdictOf(feedback))
      progress.at((read += batch.length))
    }
  })
  return counts
}

/** Decisions of a range that a scorer has still to look at, a batch of the source at a time. */
export async function* readDecisions(
  source: Pick<Source, 'codec' | 'audit'>,
  { range, signal }: Pick<TaskLogOptions, 'range' | 'signal'>,
  wants: (record: DecisionRecord) => boolean,
): AsyncGenerator<DecisionRecord[]> {
  for await (const batch of source.audit(range, { signal, types: ['decision'] })) {
    const found: DecisionRecord[] = []
    for (const { record } of batch) {
      if (record?.type !== 'decision') continue
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
