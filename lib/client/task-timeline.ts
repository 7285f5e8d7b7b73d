import type { Keys } from '#lib/erasure/step-texts'
import type { Codec } from '#lib/events/codec'
import { inNamespace } from '#lib/events/topics'
import type {
  AttemptRecord,
  DecisionRecord,
  DuplicateRecord,
  OutcomeRecord,
  StepResult,
} from '#lib/events/types.generated'
import type { TailOffsets } from '#lib/stream/tail'
import type { InboundRecord } from '#lib/stream/types'
import { decodeResult, openResult } from './decode-result.ts'
import { listResultsTopics } from './results-topics.ts'
import { offsetsSince, readRange, withAdmin, type ReadDeps } from './topic-range.ts'

/** Something that happened to a step of the task. */
export type TimelineEntry = { atMs: number; stepId: string; tenantId: string } & (
  | { type: 'decision'; record: DecisionRecord }
  | { type: 'attempt'; record: AttemptRecord }
  | { type: 'duplicate'; record: DuplicateRecord }
  | { type: 'outcome'; record: OutcomeRecord }
)

export interface TaskTimeline {
  taskId: string
  /** In order of time; within a step decision, attempt, outcome. */
  entries: TimelineEntry[]
  results: StepResult[]
  costMicroUsd: number
}

export interface TaskTimelineOptions {
  namespace: string
  taskId: string
  /** Tasks of other tenants may have the same id. */
  tenantId?: string
  /** Epoch ms: agent.audit, whose key is the lane, has to be read from there. @default all that is kept */
  sinceMs?: number
  signal?: AbortSignal
}

const orderOfTypes = ['duplicate', 'decision', 'attempt', 'outcome'] as const

/** Throws SHUNT_KAFKA_UNAVAILABLE (retryable), SHUNT_TOPICS_NOT_APPLIED, or the signal's reason. */
export async function readTaskTimeline(
  deps: ReadDeps & { codec: Codec; keys?: Keys },
  options: TaskTimelineOptions,
): Promise<TaskTimeline> {
  const { namespace, taskId, tenantId, sinceMs, signal } = options
  const audit = inNamespace(namespace, 'agent.audit')
  const entries: TimelineEntry[] = []
  const results: StepResult[] = []
  const isWanted = (of: { taskId: string; tenantId: string }): boolean =>
    of.taskId === taskId && (tenantId === undefined || of.tenantId === tenantId)

  async function onRecord(record: InboundRecord): Promise<void> {
    if (record.topic === audit) {
      const entry = await readEntry(deps.codec, record.value).catch((err: unknown) => {
        deps.log.warn({ err, partition: record.partition, offset: record.offset }, 'an audit record cannot be read')
      })
      if (entry && isWanted({ taskId: entry.record.taskId, tenantId: entry.tenantId })) entries.push(entry)
      return
    }
    const result = await decodeResult(deps, record)
    if (result && isWanted(result)) results.push(await openResult(deps, result))
  }

  const topics = [audit, ...(await listResultsTopics(deps, namespace))]
  await readRange(deps, { topics, from: await startOf(deps, topics, sinceMs), onRecord, signal })
  entries.sort((a, b) => a.atMs - b.atMs || orderOfTypes.indexOf(a.type) - orderOfTypes.indexOf(b.type))
  results.sort((a, b) => a.finishedAtMs - b.finishedAtMs)
  return { taskId, entries, results, costMicroUsd: results.reduce((sum, { costMicroUsd }) => sum + costMicroUsd, 0) }
}

async function startOf(
  deps: ReadDeps,
  topics: readonly string[],
  sinceMs: number | undefined,
): Promise<'beginning' | TailOffsets> {
  if (sinceMs !== undefined) return offsetsSince(deps, topics, sinceMs)
  await withAdmin(deps, topics, () => Promise.resolve())
  return 'beginning'
}

/** Undefined for records that are of no step. */
async function readEntry(codec: Codec, value: Buffer | null): Promise<TimelineEntry | undefined> {
  const { type, body } = await codec.decode('audit-record', value)
  if (type === 'decision') {
    const record = await codec.decode('decision-record', body)
    return { type, atMs: record.snapshot.nowMs, stepId: record.stepId, tenantId: record.facts.tenantId, record }
  }
  if (type === 'attempt') {
    const record = await codec.decode('attempt-record', body)
    return { type, atMs: record.attempt.endedAtMs, stepId: record.stepId, tenantId: record.tenantId, record }
  }
  if (type === 'duplicate') {
    const record = await codec.decode('duplicate-record', body)
    return { type, atMs: record.origin.receivedAtMs, stepId: record.stepId, tenantId: record.tenantId, record }
  }
  if (type !== 'outcome') return undefined
  const record = await codec.decode('outcome-record', body)
  return { type, atMs: record.finishedAtMs, stepId: record.stepId, tenantId: record.tenantId, record }
}
