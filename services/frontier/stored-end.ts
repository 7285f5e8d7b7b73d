import type { ChatCompletion } from 'openai/resources/chat'
import type { StoredAttempt, StoredCall } from '#lib/ledger/stored-answers'
import { callFailures, ModelCallError, type CallFailure } from '#lib/models/model-call-error'
import type { Verdict } from '#lib/models/verdicts'
import { cancelledEnd, failedEnd, noCall, type CallEnd, type LostCall } from '#lib/worker/call-end'
import type { NamedPlace } from '#lib/worker/permits'

/** How an attempt that has ended is told: by the call that ended it, with the calls before whose outcome is unknown. */
export function toCallEnd(stored: StoredAttempt, answer: unknown, place: NamedPlace, nowMs: number): CallEnd {
  const last = stored.calls.find((call) => call.callNo === stored.last)
  const lost = stored.calls.filter((call) => call !== last && isLost(call)).map((call) => toLost(call, place, nowMs))
  if (last?.end === undefined) return closedEnd(stored, lost, nowMs)
  const { endedAtMs, promptTokens, completionTokens, standIn, failure } = last.end
  const { callNo, startedAtMs } = last
  const made = { callNo, backend: place.id, region: place.region, startedAtMs, endedAtMs, lost }
  if (failure !== undefined) return failedEnd(made, new ModelCallError(toReason(failure.reason), failure.message))
  // Its key went before the hash did: the answer was paid for and cannot be had again.
  if (answer === null) return failedEnd(made, new ModelCallError('cut_off', 'the stored answer is gone'))
  const completion = answer as ChatCompletion
  return { ...made, kind: 'answered', answer: { completion, promptTokens, completionTokens, standIn } }
}

function closedEnd(stored: StoredAttempt, lost: LostCall[], nowMs: number): CallEnd {
  const made = noCall(nowMs, lost)
  if (stored.closed === 'deadline') return { ...made, kind: 'expired', outcomeUnknown: false }
  if (stored.closed === 'cancelled') return cancelledEnd(nowMs, lost)
  const verdict = verdictOf[stored.closed ?? ''] ?? 'constraint_violated'
  return { ...made, kind: 'failed', verdict, detail: stored.closed ?? verdict, outcomeUnknown: false }
}

const verdictOf: Record<string, Exclude<Verdict, 'ok'>> = {
  text_erased: 'cancelled',
  breaker_open: 'breaker_open',
  quota_exhausted: 'quota_exhausted',
  limit_too_small: 'limit_too_small',
  budget_exhausted: 'budget_exhausted',
  calls_used_up: 'backend_unavailable',
}

/** It may have been billed, and its answer is not to be had. */
export function isLost(call: StoredCall): boolean {
  // An answer that came after the attempt's end was paid for and is not kept.
  if (call.end?.failure === undefined) return true
  return callFailures[toReason(call.end.failure.reason)].outcomeUnknown
}

const cutShort = 'the process that called has died'

function toLost(call: StoredCall, place: NamedPlace, nowMs: number): LostCall {
  const { callNo, startedAtMs, end } = call
  const detail = end?.failure ? `${end.failure.reason}: ${end.failure.message}` : end ? 'answered too late' : cutShort
  return { callNo, backend: place.id, region: place.region, startedAtMs, endedAtMs: end?.endedAtMs ?? nowMs, detail }
}

/** Written by another release, perhaps. */
function toReason(reason: string): CallFailure {
  return reason in callFailures ? (reason as CallFailure) : 'cut_off'
}

/** Whether a call of the attempt is under way, as far as anybody knows: it runs, or its process has died. */
export function isCalling(stored: StoredAttempt | null): boolean {
  return stored !== null && !stored.ended && stored.calls.some((call) => call.end === undefined)
}
