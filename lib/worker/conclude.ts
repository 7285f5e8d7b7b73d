import { attemptDraft, outcomeDraft } from '#lib/audit/records'
import { isSealed } from '#lib/erasure/sealed-text'
import { orNull, sealLike, type Keys } from '#lib/erasure/step-texts'
import type { Codec } from '#lib/events/codec'
import type { ResultsTopic } from '#lib/events/results-topic'
import { buildStepResult, decidedBy, type StepEnd } from '#lib/events/step-result'
import { inNamespace, maxWeakAnswerBytes, twinFor } from '#lib/events/topics'
import type { Attempt, RoutedStep } from '#lib/events/types.generated'
import { costMicroUsd } from '#lib/models/prices'
import { offeredToolsCalled } from '#lib/models/tools-called'
import type { AuditDraft, Handled } from '#lib/stream/types'
import type { StepLog } from '#lib/telemetry/step-log'
import type { AttemptMetrics } from '#lib/telemetry/step-metrics'
import type { CallEnd, EarlierCall, ModelJob } from './call-end.ts'
import { deliverable } from './asked-logprobs.ts'
import { tenantHeaders } from './fair-key.ts'
import { isAccepted, type Judgement } from './judge.ts'

export interface ConcludeDeps {
  codec: Pick<Codec, 'encode'>
  keys: Keys
  metrics: AttemptMetrics
  stepLog: Pick<StepLog, 'concluded'>
  namespace: string
  resultsTopic: ResultsTopic
  nowMs: () => number
}

/**
 * What an attempt leads to: the step's result where its answer passes or its time is up, else the way back to the
 * classifier with the weak answer. The audit gets a record of the attempt, and one of each call of it that came before.
 */
export async function conclude(
  deps: ConcludeDeps,
  job: ModelJob,
  end: CallEnd,
  judgement: Judgement,
): Promise<Handled> {
  if (end.kind === 'cancelled' && end.earlier.length === 0) return endUntried(deps, job.routed, 'cancelled')
  const isEnd = isAccepted(judgement.verdict, job.policy)
  const answer = end.kind === 'answered' ? JSON.stringify(deliverable(job.request, end.answer.completion)) : null
  const written = await toWritten(deps, job.routed.step, answer, isEnd)
  const earlier = end.earlier.map((call) => earlierAttempt(job, call))
  const last = lastAttempt(job, end, judgement)
  // Where no call followed the last of them, nothing is held for another any more.
  const lastMade = end.callNo === 0 ? earlier.at(-1) : undefined
  const audit = earlier.map((attempt) =>
    attemptDraft(deps.codec, job.routed, attempt, { answer: null, tools: [], ends: attempt === lastMade }),
  )
  const tools = end.kind === 'answered' ? offeredToolsCalled(job.request, end.answer.completion) : []
  audit.push(attemptDraft(deps.codec, job.routed, last, { answer: written.hashed, tools, ends: true }))
  const whole = withEarlier(last, earlier)
  deps.metrics.attempted(whole)
  if (isEnd) {
    const isErased = answer !== null && written.answer === null
    return finish(deps, job, whole, audit, isErased ? unanswered.erased : completed(written.answer))
  }
  if (end.kind === 'expired' || end.kind === 'cancelled') return finish(deps, job, whole, audit, unanswered[end.kind])
  const { answer: weak, answerTruncated } = written
  return reroute(deps, job.routed, { ...whole, answer: weak, answerTruncated }, audit)
}

/** A step whose deadline had passed, or that was cancelled, before anything was tried. */
export function endUntried(deps: ConcludeDeps, routed: RoutedStep, why: 'expired' | 'cancelled'): Handled {
  return finish(deps, { routed }, null, [], unanswered[why])
}

type Ending = Pick<StepEnd, 'status' | 'code' | 'message' | 'answer'>

const completed = (answer: string | null): Ending => ({ status: 'completed', code: null, message: null, answer })
/** How a step ends that gets no answer. */
export const unanswered = {
  expired: {
    status: 'expired',
    code: 'SHUNT_DEADLINE_PASSED',
    message: "no answer by the step's deadline",
    answer: null,
  },
  cancelled: {
    status: 'cancelled',
    code: 'SHUNT_CANCELLED',
    message: 'an operator cancelled the step before it was answered',
    answer: null,
  },
  erased: {
    status: 'failed',
    code: 'SHUNT_TEXT_ERASED',
    message: "the tenant's data key was deleted before the step had its answer",
    answer: null,
  },
} as const satisfies Record<string, Ending>

function finish(
  deps: ConcludeDeps,
  { routed }: Pick<ModelJob, 'routed'>,
  attempt: Attempt | null,
  audit: AuditDraft[],
  ending: Ending,
): Handled {
  const { step, origin, decision } = routed
  const attempts = attempt === null ? routed.attempts : [...routed.attempts, attempt]
  const result = buildStepResult(step, origin, attempts, {
    ...ending,
    ...decidedBy(decision),
    answeredBy: attempt,
    finishedAtMs: deps.nowMs(),
  })
  deps.metrics.ended(result.status)
  deps.stepLog.concluded(step, attempt, result.status)
  const value = deps.codec.encode('step-result', result)
  return {
    records: [{ topic: deps.resultsTopic(step.tenantId), key: step.taskId, value }],
    audit: [...audit, outcomeDraft(deps.codec, result)],
  }
}

function reroute(deps: ConcludeDeps, routed: RoutedStep, attempt: Attempt, audit: AuditDraft[]): Handled {
  deps.stepLog.concluded(routed.step, attempt, null)
  const value = deps.codec.encode('routed-step', { ...routed, attempts: [...routed.attempts, attempt] })
  const topic = inNamespace(deps.namespace, twinFor('agent.steps.reroute', routed.step.priority))
  return { records: [{ topic, key: routed.step.taskId, value, headers: tenantHeaders(routed.step.tenantId) }], audit }
}

function lastAttempt(job: ModelJob, end: CallEnd, { verdict, detail, confidencePpm }: Judgement): Attempt {
  const answer = end.kind === 'answered' ? end.answer : null
  const outcomeUnknown = end.kind !== 'answered' && end.outcomeUnknown
  // What is wrong with an answer can quote a schema, which is text of the request.
  const mayQuote = answer !== null && isSealed(job.routed.step.request)
  return {
    ...attemptBase(job, end),
    callNo: end.callNo,
    verdict,
    detail: mayQuote ? null : detail,
    promptTokens: answer?.promptTokens ?? 0,
    completionTokens: answer?.completionTokens ?? 0,
    costMicroUsd: answer ? costOf(job, answer) : outcomeUnknown ? job.routed.decision.boundMicroUsd : 0,
    outcomeUnknown,
    standIn: answer?.standIn ?? false,
    confidencePpm,
  }
}

function costOf(job: ModelJob, answer: { promptTokens: number; completionTokens: number; standIn: boolean }): number {
  return answer.standIn ? 0 : costMicroUsd(job.model.price, answer.promptTokens, answer.completionTokens)
}

function earlierAttempt(job: ModelJob, call: EarlierCall): Attempt {
  return {
    ...attemptBase(job, call),
    callNo: call.callNo,
    verdict: call.verdict,
    detail: call.detail,
    promptTokens: 0,
    completionTokens: 0,
    costMicroUsd: call.outcomeUnknown ? job.routed.decision.boundMicroUsd : 0,
    outcomeUnknown: call.outcomeUnknown,
    standIn: false,
    confidencePpm: null,
  }
}

function attemptBase(job: ModelJob, call: Pick<EarlierCall, 'backend' | 'region' | 'startedAtMs' | 'endedAtMs'>) {
  const { decision } = job.routed
  return {
    attempt: decision.attempt,
    tier: decision.tier,
    model: decision.model,
    backend: call.backend,
    region: call.region,
    startedAtMs: call.startedAtMs,
    endedAtMs: call.endedAtMs,
    answer: null,
    answerTruncated: false,
  }
}

/** The step counts one attempt a decision, at the cost of all its calls. */
function withEarlier(last: Attempt, earlier: readonly Attempt[]): Attempt {
  const all = [last, ...earlier]
  return {
    ...last,
    costMicroUsd: all.reduce((sum, attempt) => sum + attempt.costMicroUsd, 0),
    outcomeUnknown: all.some((attempt) => attempt.outcomeUnknown),
  }
}

interface WrittenAnswer {
  /** In the form of the step's request; null where there is none, or no key any more. */
  answer: string | null
  answerTruncated: boolean
  /** Whose hash goes into the audit: of a sealed answer what is written, since a label's own hash is guessed soon. */
  hashed: string | null
}

/** The answer as it leaves the worker: whole where it is the step's end, else cut. */
async function toWritten(
  { keys }: ConcludeDeps,
  step: RoutedStep['step'],
  answer: string | null,
  isEnd: boolean,
): Promise<WrittenAnswer> {
  const weak = isEnd ? { answer, answerTruncated: false } : cut(answer)
  if (weak.answer === null || !isSealed(step.request)) return { ...weak, hashed: answer }
  const sealed = await orNull(sealLike(keys, step, 'answer', weak.answer))
  return { answer: sealed, answerTruncated: weak.answerTruncated, hashed: sealed }
}

/** Cut at a whole character. */
function cut(answer: string | null): Pick<Attempt, 'answer' | 'answerTruncated'> {
  if (answer === null || Buffer.byteLength(answer) <= maxWeakAnswerBytes) return { answer, answerTruncated: false }
  const bytes = Buffer.from(answer).subarray(0, maxWeakAnswerBytes)
  return { answer: new TextDecoder().decode(bytes, { stream: true }), answerTruncated: true }
}
