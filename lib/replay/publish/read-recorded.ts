import type { AuditSource } from '#lib/audit/source'
import { readBatches } from '#lib/client/range-batches'
import { listResultsTopics } from '#lib/client/results-topics'
import { topicSpan, type ReadDeps } from '#lib/client/topic-range'
import { isSealed } from '#lib/erasure/sealed-text'
import { isRetryable } from '#lib/errors'
import type { Codec } from '#lib/events/codec'
import type { DecisionRecord, StepResult } from '#lib/events/types.generated'
import { decisionFilter } from '../decision-filter.ts'
import { placeInSpan, type ReplayFilter, type ReplaySpan } from './range.ts'
import type { RecordedResult, RecordedRun } from './recorded-run.ts'

export interface ReadRecordedOptions {
  namespace: string
  span: ReplaySpan
  signal: AbortSignal
}

/** A step bears its publisher's time, and what came of it another machine's. */
const clockSlackMs = 3_600_000

function since({ span: { sinceMs } }: ReadRecordedOptions): number | undefined {
  return sinceMs === null ? undefined : sinceMs - clockSlackMs
}

/** How the steps of the span ended, into the run. What cannot be read is passed over, with a line in the log. */
export async function readRecordedResults(
  deps: ReadDeps & { codec: Codec },
  run: Pick<RecordedRun, 'addResults'>,
  options: ReadRecordedOptions,
): Promise<void> {
  const { namespace, span, signal } = options
  const topics = await listResultsTopics(deps, namespace)
  const { from, until } = await topicSpan(deps, topics, { sinceMs: since(options) })
  for await (const records of readBatches(deps, { topics, from, until, signal })) {
    const rows: (RecordedResult & { origin: string })[] = []
    for (const { value, topic, partition, offset } of records)
      try {
        const result = await deps.codec.decode('step-result', value)
        const origin = placeInSpan(span, result.origin, namespace)
        if (origin !== null) rows.push({ origin, ...recordedResult(result) })
      } catch (err) {
        if (isRetryable(err)) throw err
        deps.log.warn({ err, topic, partition, offset }, 'a result cannot be read')
      }
    run.addResults(rows)
  }
}

/** A completed or weak answer of a frontier model can be served again; one that was cut is no JSON any more. */
function recordedResult(result: StepResult): RecordedResult {
  const { status, tier, model, costMicroUsd, promptTokens, completionTokens, standIn } = result
  const answer = tier === 'frontier' && isWhole(result.answer) ? result.answer : null
  return { status, tier, model, costMicroUsd, answer, promptTokens, completionTokens, standIn }
}

/** Of a sealed one who serves it sees, when it is opened. */
function isWhole(text: string | null): boolean {
  if (text === null) return false
  try {
    return isSealed(text) || typeof JSON.parse(text) === 'object'
  } catch {
    return false
  }
}

/**
 * Which steps of the span have a decision that passes the filter, into the run. Returns the sum of the upper bounds of what
 * decisions for frontier models could cost, of all steps of the span's tasks and tenants, micro-USD.
 */
export async function readRecordedDecisions(
  source: Pick<AuditSource, 'audit' | 'codec'>,
  run: Pick<RecordedRun, 'want'>,
  filter: ReplayFilter,
  options: ReadRecordedOptions,
): Promise<{ boundMicroUsd: number }> {
  const { namespace, span, signal } = options
  const ofWhom = decisionFilter({ taskIds: filter.taskIds, tenantIds: filter.tenantIds }) ?? (() => true)
  const passes = decisionFilter(filter) ?? (() => true)
  let boundMicroUsd = 0
  for await (const entries of source.audit({ sinceMs: since(options) }, { signal })) {
    const wanted: string[] = []
    for (const { record, partition, offset } of entries) {
      if (record?.type !== 'decision') continue
      const decision = await decodeOrNull(source, record.body)
      const origin = decision && placeInSpan(span, decision.origin, namespace)
      if (!decision || origin === null || !ofWhom(decision)) continue
      const { action, tier } = decision.outcome
      if (action === 'route' && tier === 'frontier') boundMicroUsd += decision.outcome.boundMicroUsd
      if (passes(decision) && isWithin(filter, partition, offset)) wanted.push(origin)
    }
    run.want(wanted)
  }
  return { boundMicroUsd }
}

function isWithin({ auditOffsets }: ReplayFilter, partition: number, offset: number): boolean {
  if (!auditOffsets) return true
  return auditOffsets.some(
    ({ partition: asked, from = 0, until = Infinity }) => asked === partition && offset >= from && offset < until,
  )
}

/** What cannot be decoded is a matter for those who verify the log, and no reason not to replay it. */
async function decodeOrNull({ codec }: Pick<AuditSource, 'codec'>, body: Buffer): Promise<DecisionRecord | null> {
  try {
    return await codec.decode('decision-record', body)
  } catch (error) {
    if (isRetryable(error)) throw error
    return null
  }
}
