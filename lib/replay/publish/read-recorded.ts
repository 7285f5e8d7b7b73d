import { listResultsTopics } from '#lib/client/results-topics'
import { offsetsSince, readRange, type ReadDeps } from '#lib/client/topic-range'
import { isRetryable } from '#lib/errors'
import type { Codec } from '#lib/events/codec'
import { inNamespace } from '#lib/events/topics'
import type { DecisionRecord, StepResult } from '#lib/events/types.generated'
import { placeInSpan, type ReplayFilter, type ReplaySpan } from './range.ts'
import type { RecordedResult, RecordedRun } from './recorded-run.ts'

export interface ReadRecordedOptions {
  namespace: string
  span: ReplaySpan
  /** What came of a step is never older than its record. */
  sinceMs: number | undefined
  signal: AbortSignal
}

type Deps = ReadDeps & { codec: Codec }

/** A step bears its publisher's time, and what came of it another machine's. */
const clockSlackMs = 3_600_000

/** Written together: a transaction of the file costs more than a row. */
const rowsAtOnce = 500

/** How the steps of the span ended, into the run. What cannot be read is passed over, with a line in the log. */
export async function readRecordedResults(deps: Deps, run: RecordedRun, options: ReadRecordedOptions): Promise<void> {
  const { namespace, span } = options
  const rows = inGroups<RecordedResult & { origin: string }>((group) => run.addResults(group))
  await readAll(deps, await listResultsTopics(deps, namespace), options, async ({ value }) => {
    const result = await deps.codec.decode('step-result', value)
    const origin = placeInSpan(span, result.origin, namespace)
    if (origin !== null) rows.add({ origin, ...recordedResult(result) })
  })
  rows.flush()
}

/** A completed or weak answer of a frontier model can be served again; one that was cut is no JSON any more. */
function recordedResult(result: StepResult): RecordedResult {
  const { status, tier, model, costMicroUsd, promptTokens, completionTokens, standIn } = result
  const answer = tier === 'frontier' && isJson(result.answer) ? result.answer : null
  return { status, tier, model, costMicroUsd, answer, promptTokens, completionTokens, standIn }
}

function isJson(text: string | null): boolean {
  try {
    return text !== null && typeof JSON.parse(text) === 'object'
  } catch {
    return false
  }
}

/**
 * Which steps of the span have a decision as the filter asks, into the run. Returns the sum of the upper bounds of what
 * their decisions for frontier models could cost, micro-USD.
 */
export async function readRecordedDecisions(
  deps: Deps,
  run: RecordedRun,
  filter: ReplayFilter,
  options: ReadRecordedOptions,
): Promise<{ boundMicroUsd: number }> {
  const { namespace, span } = options
  const wanted = inGroups<string>((group) => run.want(group))
  let boundMicroUsd = 0
  await readAll(deps, [inNamespace(namespace, 'agent.audit')], options, async ({ value }) => {
    const link = await deps.codec.decode('audit-record', value)
    if (link.type !== 'decision') return
    const decision = await deps.codec.decode('decision-record', link.body)
    const origin = placeInSpan(span, decision.origin, namespace)
    if (origin === null || !namesWhom(decision, filter)) return
    if (decision.outcome.tier === 'frontier' && decision.outcome.action === 'route')
      boundMicroUsd += decision.outcome.boundMicroUsd
    if (isAsked(decision, filter)) wanted.add(origin)
  })
  wanted.flush()
  return { boundMicroUsd }
}

function namesWhom({ taskId, facts }: DecisionRecord, { tasks, tenants }: ReplayFilter): boolean {
  return has(tasks, taskId) && has(tenants, facts.tenantId)
}

function isAsked({ outcome }: DecisionRecord, { tiers, reasons }: ReplayFilter): boolean {
  if (tiers.length > 0 && !(outcome.tier !== null && tiers.includes(outcome.tier))) return false
  return reasons.length === 0 || reasons.some((reason) => outcome.reasons.includes(reason))
}

/** An empty list asks for nothing in particular. */
export function has(list: readonly string[], value: string): boolean {
  return list.length === 0 || list.includes(value)
}

/** What cannot be decoded is a matter for those who verify the log, and no reason not to replay it. */
async function readAll(
  deps: Deps,
  topics: readonly string[],
  { sinceMs, signal }: ReadRecordedOptions,
  onRecord: Parameters<typeof readRange>[1]['onRecord'],
): Promise<void> {
  const from = sinceMs === undefined ? 'beginning' : await offsetsSince(deps, topics, sinceMs - clockSlackMs)
  await readRange(deps, {
    topics,
    from,
    signal,
    async onRecord(record) {
      try {
        await onRecord(record)
      } catch (err) {
        if (isRetryable(err) || signal.aborted) throw err
        deps.log.warn({ err, topic: record.topic, offset: record.offset }, 'a record cannot be read')
      }
    },
  })
}

function inGroups<T>(write: (group: readonly T[]) => void): { add(row: T): void; flush(): void } {
  let rows: T[] = []
  const flush = () => {
    if (rows.length > 0) write(rows)
    rows = []
  }
  return {
    add(row) {
      rows.push(row)
      if (rows.length >= rowsAtOnce) flush()
    },
    flush,
  }
}
