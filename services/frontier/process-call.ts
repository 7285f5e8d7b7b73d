import { BrokenCircuitError, type CircuitBreakerPolicy } from 'cockatiel'
import type { OrdersInForce } from '#lib/control/orders-in-force'
import type { AttemptRef, BegunCall, StoredAnswers } from '#lib/ledger/stored-answers'
import type { ChatAnswer, ChatModel } from '#lib/models/chat-model'
import { ModelCallError } from '#lib/models/model-call-error'
import { backoffMs } from '#lib/models/retry'
import { timeLimit } from '#lib/models/time-limit'
import type { KnownPolicy } from '#lib/policy/policy-store'
import { whyNotPermitted, type NamedPlace } from '#lib/worker/permits'
import type { StoredRequest } from './lane-job.ts'

/** What the queue does with the job next. */
export type CallOutcome =
  | { kind: 'done' }
  /** This job comes again after `waitMs`. */
  | { kind: 'again'; waitMs: number }
  /** The provider asked for a pause: no job of the queue for `waitMs`. */
  | { kind: 'rate_limited'; waitMs: number }

export interface ProcessCallDeps {
  answers: StoredAnswers
  policies: { inForce(): KnownPolicy | undefined; byHash(hash: string): KnownPolicy | undefined }
  orders: Pick<OrdersInForce, 'standing'>
  chat: ChatModel
  breaker: CircuitBreakerPolicy
  nowMs: () => number
  random: () => number
}

export interface ProcessCallOptions {
  place: NamedPlace
  /** As the provider knows the model. */
  modelName: string
  /** Calls of one attempt in all; a 429 does not count, the deadline bounds those. */
  maxCalls: number
}

/**
 * One call for one job, at most. Whatever it ends with is stored before the job is done, so that it survives this
 * process; a call cut off by the end of the process is left without an end, which is what its outcome is.
 */
export async function processCall(
  deps: ProcessCallDeps,
  options: ProcessCallOptions,
  ref: AttemptRef,
  signal: AbortSignal,
): Promise<CallOutcome> {
  const stored = (await deps.answers.request(ref)) as StoredRequest | null
  if (stored === null) return { kind: 'done' }
  const deadlineAtMs = stored.deadlineAtMs ?? Infinity
  if (deps.nowMs() >= deadlineAtMs) return close(deps, ref, 'deadline')
  if (!isPermitted(deps, options.place, stored)) return close(deps, ref, 'constraint_violated')
  const { is } = deps.orders.standing({ ...stored, call: { tier: 'frontier', model: stored.model } })
  if (is === 'cancelled') return close(deps, ref, 'cancelled')
  if (is === 'paused') return { kind: 'again', waitMs: pausedLookMs }

  using limit = timeLimit(deadlineAtMs - deps.nowMs(), signal)
  let begun: BegunCall | null = null
  try {
    const answer = await deps.breaker.execute(async () => {
      begun = await deps.answers.begin(ref, deps.nowMs(), options.maxCalls)
      return begun === null ? null : callProvider(deps, options, stored, limit.signal)
    })
    if (answer !== null && begun !== null) await storeAnswer(deps, ref, begun, answer)
    return { kind: 'done' }
  } catch (error) {
    if (error instanceof BrokenCircuitError) return close(deps, ref, 'breaker_open')
    if (!(error instanceof ModelCallError) || begun === null || error.reason === 'cancelled') throw error
    return afterFailure(deps, ref, begun, error, deadlineAtMs)
  }
}

/** A job of a paused step is looked at again after so long, ms: soon enough after the resume. */
const pausedLookMs = 2_000

/** Asked by the worker that makes the call, of the policies that it knows itself. */
function isPermitted(deps: ProcessCallDeps, place: NamedPlace, stored: StoredRequest): boolean {
  const inForce = deps.policies.inForce()?.policy
  const decided = deps.policies.byHash(stored.policyHash)?.policy
  return !!inForce && !!decided && whyNotPermitted(stored, stored.model, place, inForce, decided) === null
}

function callProvider(
  deps: ProcessCallDeps,
  options: ProcessCallOptions,
  stored: StoredRequest,
  signal: AbortSignal,
): Promise<ChatAnswer> {
  return deps.chat.complete(stored.request, {
    model: options.modelName,
    maxOutputTokens: stored.maxOutputTokens,
    signal,
  })
}

async function storeAnswer(
  deps: ProcessCallDeps,
  ref: AttemptRef,
  { callNo }: BegunCall,
  answer: ChatAnswer,
): Promise<void> {
  const { completion, promptTokens, completionTokens, standIn } = answer
  const end = { endedAtMs: deps.nowMs(), promptTokens, completionTokens, standIn }
  await deps.answers.end(ref, callNo, end, { answer: completion, final: true, counts: true })
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
  if (!again) return { kind: 'done' }
  return { kind: limited ? 'rate_limited' : 'again', waitMs }
}

async function close(deps: ProcessCallDeps, ref: AttemptRef, why: ClosedBecause): Promise<CallOutcome> {
  await deps.answers.close(ref, why)
  return { kind: 'done' }
}

/** Why an attempt ended without a call of its own end; `calls_used_up` comes from StoredAnswers. */
export type ClosedBecause = 'deadline' | 'cancelled' | 'constraint_violated' | 'breaker_open'
