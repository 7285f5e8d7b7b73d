import { BrokenCircuitError, type CircuitBreakerPolicy } from 'cockatiel'
import type { Keys } from '#lib/erasure/step-texts'
import type { ChatRequest } from '#lib/events/chat-request'
import type { OrdersInForce } from '#lib/control/orders-in-force'
import type { Standing } from '#lib/control/standing'
import type { AttemptRef, BegunCall, StoredAnswers } from '#lib/ledger/stored-answers'
import type { ChatAnswer, ChatModel } from '#lib/models/chat-model'
import { ModelCallError, type CallFailure } from '#lib/models/model-call-error'
import { backoffMs } from '#lib/models/retry'
import { timeLimit } from '#lib/models/time-limit'
import type { UsageProblem } from '#lib/models/usage'
import type { KnownPolicy } from '#lib/policy/policy-store'
import type { LaneClass } from '#lib/stream/capacity'
import type { HoldCalls } from '#lib/worker/hold-calls'
import { whyNotPermitted, type NamedPlace } from '#lib/worker/permits'
import type { AccountPause } from './account-pause.ts'
import type { Admission, CallGate } from './call-gate.ts'
import type { StoredRequest } from './lane-job.ts'
import { isLost } from './stored-end.ts'
import { readStoredRequest, toStoredAnswer } from './stored-texts.ts'

/** What the queue does with the job next. */
export type CallOutcome =
  | { kind: 'done' }
  /** This job comes again after `waitMs`. */
  | { kind: 'again'; waitMs: number }
  /** The process ends: the job is for another. */
  | { kind: 'put_back' }

export interface ProcessCallDeps {
  answers: StoredAnswers
  keys: Keys
  policies: { inForce(): KnownPolicy | undefined; byHash(hash: string): KnownPolicy | undefined }
  orders: Pick<OrdersInForce, 'standing'>
  chat: ChatModel
  breaker: CircuitBreakerPolicy
  gate: Pick<CallGate, 'enter' | 'pause'>
  account: AccountPause
  holdCalls: HoldCalls
  /** Told of a usage that cannot be. */
  onUsageProblem: (problem: UsageProblem) => void
  nowMs: () => number
  random: () => number
}

export interface ProcessCallOptions {
  place: NamedPlace
  laneClass: LaneClass
  /** As the provider knows the model. */
  modelName: string
  /** Calls of one attempt in all; a 429 does not count, the deadline bounds those. */
  maxCalls: number
}

export interface ProcessCallSignals {
  /** Aborts when nothing new is begun. */
  closing: AbortSignal
  /** Aborts when calls under way are given up. */
  cutOff: AbortSignal
}

/**
 * One call for one job, at most, once the gate lets it. Whatever it ends with is stored before the job is done, so that
 * it survives this process; a call cut off by the end of the process is left without an end, which is what its outcome is.
 */
export async function processCall(
  deps: ProcessCallDeps,
  options: ProcessCallOptions,
  ref: AttemptRef,
  signals: ProcessCallSignals,
): Promise<CallOutcome> {
  const stored = (await deps.answers.request(ref)) as StoredRequest | null
  if (stored === null) return { kind: 'done' }
  const deadlineAtMs = stored.deadlineAtMs ?? Infinity
  const why = whyNotCalled(deps, options.place, stored, deadlineAtMs)
  if (why !== null) return close(deps, ref, why)
  if (isPaused(deps, stored)) return { kind: 'again', waitMs: pausedLookMs }

  const admission = await enter(deps, options, stored, deadlineAtMs, signals.closing)
  if (typeof admission === 'string')
    return admission === 'put_back' ? { kind: 'put_back' } : close(deps, ref, admission)
  let usage: Usage = { used: 'not_sent' }
  try {
    // Asked again: it may have waited long.
    const whyNow = whyNotCalled(deps, options.place, stored, deadlineAtMs)
    if (whyNow !== null) return await close(deps, ref, whyNow)
    if (isPaused(deps, stored)) return { kind: 'again', waitMs: pausedLookMs }
    // Opened last: what is erased while it waits is not sent.
    const request = await readStoredRequest(deps.keys, stored)
    if (request === null) return await close(deps, ref, 'text_erased')
    using limit = timeLimit(deadlineAtMs - deps.nowMs(), signals.cutOff)
    const note = (of: Usage) => (usage = of)
    const call = { ...options, ref, stored, request, deadlineAtMs, inTime: admission.inTime, note }
    return await callOnce(deps, call, limit.signal)
  } finally {
    await admission.leave(usage)
  }
}

type Usage = Parameters<Admission['leave']>[0]

interface AdmittedCall extends ProcessCallOptions {
  ref: AttemptRef
  stored: StoredRequest
  request: ChatRequest
  deadlineAtMs: number
  inTime: Admission['inTime']
  /** Told what of the reservation was used, as soon as that is known. */
  note: (usage: Usage) => void
}

async function callOnce(deps: ProcessCallDeps, call: AdmittedCall, signal: AbortSignal): Promise<CallOutcome> {
  const { ref, note } = call
  if (!(await isHeld(deps, ref, call.stored))) return close(deps, ref, 'budget_exhausted')
  let begun: BegunCall | null = null
  let sent = false
  try {
    const answer = await deps.breaker.execute(async () => {
      begun = await deps.answers.begin(ref, deps.nowMs(), call.maxCalls)
      if (begun === null) return null
      if (!call.inTime()) throw new ModelCallError('rate_limited', 'not sent: its reservation had grown too old')
      sent = true
      note({ used: 'unknown' })
      return callProvider(deps, call, signal)
    })
    if (answer === null || begun === null) return { kind: 'done' }
    note(usageOf(answer))
    if (answer.usageProblem) deps.onUsageProblem(answer.usageProblem)
    await storeAnswer(deps, call, begun, answer)
    return { kind: 'done' }
  } catch (error) {
    if (error instanceof BrokenCircuitError) return close(deps, ref, 'breaker_open')
    if (!(error instanceof ModelCallError) || begun === null || error.reason === 'cancelled') throw error
    sent &&= !neverSent.has(error.reason)
    note({ used: sent ? 'unknown' : 'not_sent', report: error.limits })
    if (error.reason === 'quota') deps.account.refused()
    const outcome = await afterFailure(deps, ref, begun, error, call.deadlineAtMs)
    if (sent && error.reason === 'rate_limited' && outcome.kind === 'again') await deps.gate.pause(outcome.waitMs)
    return outcome
  }
}

/** Calls that may have been billed stay charged: another one needs a bound of its own. */
async function isHeld(
  deps: ProcessCallDeps,
  ref: AttemptRef,
  { held, vanishedCalls }: StoredRequest,
): Promise<boolean> {
  const before = (await deps.answers.read(ref))?.calls ?? []
  const lost = vanishedCalls + before.filter(isLost).length
  return lost === 0 || deps.holdCalls(held, lost + 1)
}

/** A job of a paused step is looked at again after so long, ms: soon enough after the resume. */
const pausedLookMs = 2_000
/** Failures of which the provider knows nothing. */
const neverSent: ReadonlySet<CallFailure> = new Set(['unreachable', 'unsupported', 'not_recorded'])

/** A bound that was charged for want of a count stays reserved as well. */
function usageOf({ promptTokens, completionTokens, usageProblem, limits }: ChatAnswer): Usage {
  const used = usageProblem ? 'unknown' : { inputTokens: promptTokens, outputTokens: completionTokens }
  return { used, report: limits }
}

async function enter(
  deps: ProcessCallDeps,
  { laneClass }: ProcessCallOptions,
  { promptTokensBound, maxOutputTokens }: StoredRequest,
  deadlineAtMs: number,
  closing: AbortSignal,
): Promise<Admission | 'deadline' | 'limit_too_small' | 'put_back'> {
  const size = { inputTokens: promptTokensBound, outputTokens: maxOutputTokens }
  using limit = timeLimit(deadlineAtMs - deps.nowMs(), closing)
  try {
    return (await deps.gate.enter(size, laneClass, limit.signal)) ?? 'limit_too_small'
  } catch (error) {
    if (closing.aborted) return 'put_back'
    if (limit.signal.aborted) return 'deadline'
    throw error
  }
}

function whyNotCalled(
  deps: ProcessCallDeps,
  place: NamedPlace,
  stored: StoredRequest,
  deadlineAtMs: number,
): ClosedBecause | null {
  if (deps.nowMs() >= deadlineAtMs) return 'deadline'
  if (!isPermitted(deps, place, stored)) return 'constraint_violated'
  if (orderFor(deps, stored) === 'cancelled') return 'cancelled'
  return deps.account.isExhausted() ? 'quota_exhausted' : null
}

function isPaused(deps: ProcessCallDeps, stored: StoredRequest): boolean {
  return orderFor(deps, stored) === 'paused'
}

function orderFor({ orders }: ProcessCallDeps, stored: StoredRequest): Standing['is'] {
  return orders.standing({ ...stored, call: { tier: 'frontier', model: stored.model } }).is
}

/** Asked by the worker that makes the call, of the policies that it knows itself. */
function isPermitted(deps: ProcessCallDeps, place: NamedPlace, stored: StoredRequest): boolean {
  const inForce = deps.policies.inForce()?.policy
  const decided = deps.policies.byHash(stored.policyHash)?.policy
  return !!inForce && !!decided && whyNotPermitted(stored, stored.model, place, inForce, decided) === null
}

function callProvider(
  deps: ProcessCallDeps,
  { modelName, stored, request }: AdmittedCall,
  signal: AbortSignal,
): Promise<ChatAnswer> {
  return deps.chat.complete(request, {
    model: modelName,
    maxOutputTokens: stored.maxOutputTokens,
    promptTokensBound: stored.promptTokensBound,
    step: stored,
    signal,
  })
}

async function storeAnswer(
  deps: ProcessCallDeps,
  { ref, stored }: AdmittedCall,
  { callNo }: BegunCall,
  answer: ChatAnswer,
): Promise<void> {
  const { completion, promptTokens, completionTokens, standIn } = answer
  const end = { endedAtMs: deps.nowMs(), promptTokens, completionTokens, standIn }
  await deps.answers.end(ref, callNo, end, {
    answer: await toStoredAnswer(deps.keys, stored, completion),
    final: true,
    counts: true,
  })
}

async function afterFailure(
  deps: ProcessCallDeps,
  ref: AttemptRef,
  { callNo, left }: BegunCall,
  error: ModelCallError,
  deadlineAtMs: number,
): Promise<CallOutcome> {
  const limited = error.reason === 'rate_limited'
  const waitMs = backoffMs(callNo, deps.random, error.retryAfterMs, { baseMs: limited ? 1_000 : 250 })
  const again = error.transient && (limited || left > 0) && deps.nowMs() + waitMs < deadlineAtMs
  const failure = { reason: error.reason, message: error.message }
  const end = { endedAtMs: deps.nowMs(), promptTokens: 0, completionTokens: 0, standIn: false, failure }
  await deps.answers.end(ref, callNo, end, { answer: null, final: !again, counts: !limited })
  return again ? { kind: 'again', waitMs } : { kind: 'done' }
}

async function close(deps: ProcessCallDeps, ref: AttemptRef, why: ClosedBecause): Promise<CallOutcome> {
  await deps.answers.close(ref, why)
  return { kind: 'done' }
}

/** Why an attempt ended without a call of its own end; `calls_used_up` comes from StoredAnswers. */
export type ClosedBecause =
  | 'deadline'
  | 'cancelled'
  | 'constraint_violated'
  | 'breaker_open'
  | 'quota_exhausted'
  | 'limit_too_small'
  | 'budget_exhausted'
  | 'text_erased'
