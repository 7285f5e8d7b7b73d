import { formatOrigin } from '#lib/audit/records'
import { narrowSpan, readRange, topicSpan, type ReadDeps, type TopicSpan } from '#lib/client/topic-range'
import { ShuntError } from '#lib/errors'
import { isSealed } from '#lib/erasure/sealed-text'
import { openText, orNull, type Keys } from '#lib/erasure/step-texts'
import type { Codec } from '#lib/events/codec'
import { parseJson } from '#lib/events/parse-json'
import { parseFeedback, parseStep } from '#lib/events/parse-step'
import { inNamespace } from '#lib/events/topics'
import type { AgentStep } from '#lib/events/types.generated'
import type { InboundRecord } from '#lib/stream/types'
import { createFeedbackJoin, type FeedbackCounts, type JudgedStep } from './feedback-labels.ts'

/** A line that `shunt calibrate` takes. */
export interface LabelLine {
  /** tenantId/stepId. */
  id: string
  kind: string
  /** What the step's metadata says under `group`: only for evaluation. */
  group?: string
  tenant: string
  request: unknown
  outcome: JudgedStep['outcome']
}

export interface FeedbackLabelsOptions {
  namespace: string
  /** Feedback and answers not older than this, epoch ms. @default all that is kept */
  sinceMs?: number | undefined
  /** Feedback before this, epoch ms. */
  untilMs?: number | undefined
  /** As FeedbackJoinOptions has it. */
  verification: boolean
  signal: AbortSignal
  /** Called once a label, in no certain order. */
  onLabel: (label: LabelLine) => void | Promise<void>
  /** Told that so many offsets of these topics are to be read; returns what to call for each record. */
  reading: (what: string, offsets: number) => { step(): void; end(): void }
}

export interface FeedbackLabelsReport extends FeedbackCounts {
  /** Records of agent.feedback. */
  feedback: number
  /** Of them, those that are no verdict. */
  unreadable: number
  labels: number
  /** The step's own record is gone from agent.steps, or cannot be read. */
  withoutRequest: number
  /** The request is sealed, and its key is not here or was deleted. */
  sealed: number
}

/**
 * Labels of the callers' verdicts: agent.feedback, then agent.audit for who answered, then agent.steps for the requests.
 * Each topic is read once; memory goes with the steps that were judged.
 * Throws SHUNT_KAFKA_UNAVAILABLE, SHUNT_REGISTRY_UNAVAILABLE, SHUNT_DATA_KEYS_UNAVAILABLE (retryable), or the signal's reason.
 */
export async function readFeedbackLabels(
  deps: ReadDeps & { codec: Codec; keys?: Keys },
  options: FeedbackLabelsOptions,
): Promise<FeedbackLabelsReport> {
  const { codec, keys = null } = deps
  const { sinceMs, untilMs, onLabel } = options
  const topic = (name: 'agent.feedback' | 'agent.audit' | 'agent.steps' | 'agent.steps.batch') =>
    inNamespace(options.namespace, name)
  const join = createFeedbackJoin(options)
  let [feedback, unreadable, labels, sealed] = [0, 0, 0, 0]

  await readSpan(
    deps,
    options,
    'feedback',
    await topicSpan(deps, [topic('agent.feedback')], { sinceMs, untilMs }),
    async (record) => {
      feedback += 1
      const verdict = await unlessUnreadable(parseFeedback(record, codec))
      if (verdict) join.feedback(verdict)
      else unreadable += 1
    },
  )

  await readSpan(
    deps,
    options,
    'audit',
    await topicSpan(deps, [topic('agent.audit')], { sinceMs }),
    async ({ value }) => {
      const audit = await unlessUnreadable(codec.decode('audit-record', value))
      if (audit?.type === 'attempt') {
        const attempt = await unlessUnreadable(codec.decode('attempt-record', audit.body))
        if (attempt) join.attempt(attempt)
      } else if (audit?.type === 'outcome') {
        const outcome = await unlessUnreadable(codec.decode('outcome-record', audit.body))
        if (outcome) join.outcome(outcome)
      }
    },
  )

  const { steps, counts } = join.steps()
  const wanted = new Map(steps.map((step) => [formatOrigin(step.place), step]))
  const kept = await topicSpan(deps, [topic('agent.steps'), topic('agent.steps.batch')], {})
  const span = narrowSpan(
    kept,
    steps.map(({ place }) => place),
  )
  await readSpan(deps, options, 'steps', span, async (record) => {
    const judged = wanted.get(formatOrigin(record))
    if (!judged) return
    const label = await unlessUnreadable(labelOf(judged, parseStep(record, codec), keys))
    if (label === 'sealed') sealed += 1
    if (!label || label === 'sealed') return
    labels += 1
    await onLabel(label)
  })
  return { feedback, unreadable, ...counts, labels, sealed, withoutRequest: counts.judged - labels - sealed }
}

async function labelOf(
  { id, tenantId, outcome }: JudgedStep,
  reading: Promise<AgentStep>,
  keys: Keys,
): Promise<LabelLine | 'sealed'> {
  const { stepId, kind, request, metadata } = await reading
  const hasNoKeys = keys === null && isSealed(request)
  const text = hasNoKeys ? null : await orNull(openText(keys, { tenantId, stepId, field: 'request' }, request))
  if (text === null) return 'sealed'
  const { group } = metadata
  return {
    id,
    kind,
    ...(group !== undefined && { group }),
    tenant: tenantId,
    request: parseJson(text, 'request'),
    outcome,
  }
}

async function readSpan(
  deps: ReadDeps,
  { signal, reading }: Pick<FeedbackLabelsOptions, 'signal' | 'reading'>,
  what: string,
  span: TopicSpan,
  onRecord: (record: InboundRecord) => Promise<void>,
): Promise<void> {
  const progress = reading(what, span.offsets)
  try {
    await readRange(deps, {
      topics: Object.keys(span.until),
      from: span.from,
      until: span.until,
      signal,
      async onRecord(record) {
        progress.step()
        await onRecord(record)
      },
    })
  } finally {
    progress.end()
  }
}

/** Undefined for what will never be readable. */
async function unlessUnreadable<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading
  } catch (error) {
    if (error instanceof ShuntError && !error.retryable) return undefined
    throw error
  }
}
