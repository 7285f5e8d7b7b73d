import { setTimeout as sleep } from 'node:timers/promises'
import type { ChatAnswer } from '#lib/models/chat-model'
import { ModelCallError, type CallFailure } from '#lib/models/model-call-error'
import { backoffMs } from '#lib/models/retry'
import { timeLimit } from '#lib/models/time-limit'
import { askForLogprobs } from '#lib/worker/asked-logprobs'
import {
  cancelledEnd,
  countUnknown,
  earlierCall,
  failedEnd,
  noCall,
  type CallEnd,
  type CallModel,
  type EarlierCall,
  type ModelJob,
} from '#lib/worker/call-end'
import { heldAttemptOf, type HoldCalls } from '#lib/worker/hold-calls'
import type { Backend, Pool } from './pool.ts'

export interface CallPoolDeps {
  pool: Pool
  holdCalls: HoldCalls
  nowMs: () => number
  random: () => number
}

export interface CallPoolOptions {
  /** Calls of one attempt in all, on one backend or several. @default 3 */
  maxCalls: number
}

export const callPoolDefaults: CallPoolOptions = { maxCalls: 3 }

/** Failures that speak against the backend, and not against the request or the clock. */
const backendFaults: ReadonlySet<CallFailure> = new Set([
  'overloaded',
  'server_error',
  'unreachable',
  'cut_off',
  'malformed',
  'timeout',
  'auth',
  'quota',
])

/** Faults of one backend that another of the same model need not have, though trying the same one again is no use. */
const elsewhere: ReadonlySet<CallFailure> = new Set(['auth', 'quota'])

/**
 * Calls a model of the pool: a slot of a backend, the call, and after what is transient another call, elsewhere if there
 * is an elsewhere. Where no backend gives a slot because all are ejected, the wait is `backendWaitMs`; a full pool is
 * waited for until the deadline.
 */
export function createCallPool(deps: CallPoolDeps, options: CallPoolOptions = callPoolDefaults): CallModel {
  return async (job, signal) => {
    using limit = timeLimit(job.deadlineAtMs - deps.nowMs(), signal)
    const earlier: EarlierCall[] = []
    let avoid: string | undefined
    let last: { end: CallEnd; error: ModelCallError } | undefined
    for (let callNo = 1; ; callNo++) {
      const backend = await acquire(deps, job, limit.signal, avoid)
      if (backend === 'expired') return last?.end ?? { ...noCall(deps.nowMs()), kind: 'expired', outcomeUnknown: false }
      if (backend === 'unavailable') return last?.end ?? unavailable(deps.nowMs())
      const { is } = job.orders.standing()
      if (is !== 'free') {
        giveBack(deps, backend, job)
        // What was tried is told, and the classifier asks the orders again.
        if (last) return last.end
        if (is === 'paused') throw job.orders.held()
        return cancelledEnd(deps.nowMs())
      }
      if (last) {
        // What may have been billed stays charged: another call needs a bound of its own.
        const isHeld =
          !last.error.outcomeUnknown || (await deps.holdCalls(heldAttemptOf(job.routed), countUnknown(earlier) + 2))
        if (!isHeld) {
          giveBack(deps, backend, job)
          return last.end
        }
        earlier.push(earlierCall(last.end, last.error))
      }
      const startedAtMs = deps.nowMs()
      const outcome = await callOnce(deps, backend, job, limit.signal)
      const made = {
        callNo,
        backend: backend.id,
        region: backend.region,
        startedAtMs,
        endedAtMs: deps.nowMs(),
        earlier: [...earlier],
      }
      if (!(outcome instanceof ModelCallError)) return { ...made, kind: 'answered', answer: outcome }
      last = { end: failedEnd(made, outcome), error: outcome }
      if (!(outcome.transient || elsewhere.has(outcome.reason)) || callNo >= options.maxCalls) return last.end
      avoid = backend.id
      const waitMs = isAlone(deps.pool, backend, job) ? backoffMs(callNo, deps.random, outcome.retryAfterMs) : 0
      if (deps.nowMs() + waitMs >= job.deadlineAtMs) return last.end
      if (waitMs > 0) await sleep(waitMs, undefined, { signal: limit.signal }).catch(() => undefined)
    }
  }
}

/** A slot without a call. */
function giveBack(deps: Pick<CallPoolDeps, 'pool'>, backend: Backend, job: ModelJob): void {
  backend.health.ended(backend.health.epoch())
  deps.pool.release(backend, job.routed.step.priority)
}

/** Whether the next call goes to the same backend again. */
function isAlone(pool: Pool, { id, model }: Backend, job: ModelJob): boolean {
  const isOther = (each: Backend) => each.id !== id && each.model === model
  return !pool.backends().some((each) => isOther(each) && each.health.available() && job.permits(each))
}

async function acquire(
  deps: CallPoolDeps,
  job: ModelJob,
  signal: AbortSignal,
  avoid: string | undefined,
): Promise<Backend | 'expired' | 'unavailable'> {
  const { taskId, tenantId, priority } = job.routed.step
  const { model, permits, policy } = job
  const waitMs = policy.limits.backendWaitMs
  try {
    const backend = await deps.pool.acquire({
      model: model.id,
      taskId,
      tenantId,
      priority,
      permits,
      avoid,
      waitMs,
      signal,
    })
    if (backend === null) return 'unavailable'
    // The timer of the deadline may be late, and a call costs.
    if (deps.nowMs() < job.deadlineAtMs) return backend
    backend.health.ended(backend.health.epoch())
    deps.pool.release(backend, priority)
    return 'expired'
  } catch {
    return 'expired'
  }
}

async function callOnce(
  deps: CallPoolDeps,
  backend: Backend,
  job: ModelJob,
  signal: AbortSignal,
): Promise<ChatAnswer | ModelCallError> {
  const call = { model: backend.modelName, maxOutputTokens: job.routed.decision.maxOutputTokens, signal }
  const { health } = backend
  const epoch = health.epoch()
  try {
    const answer = await backend.chat.complete(askForLogprobs(job), call)
    health.succeeded(epoch)
    return answer
  } catch (error) {
    if (!(error instanceof ModelCallError)) {
      health.ended(epoch)
      throw error
    }
    if (backendFaults.has(error.reason)) health.failed(epoch)
    else health.ended(epoch)
    if (error.reason === 'rate_limited') health.pauseUntil(deps.nowMs() + (error.retryAfterMs ?? 200))
    return error
  } finally {
    deps.pool.release(backend, job.routed.step.priority)
  }
}

function unavailable(nowMs: number): CallEnd {
  const detail = 'no backend of the model is healthy'
  return { ...noCall(nowMs), kind: 'failed', verdict: 'backend_unavailable', detail, outcomeUnknown: false }
}
