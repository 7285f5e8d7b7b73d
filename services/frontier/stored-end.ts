import type { ChatCompletion } from 'openai/resources/chat'
import type { StoredAttempt, StoredCall } from '#lib/ledger/stored-answers'
import { callFailures, ModelCallError, type CallFailure } from '#lib/models/model-call-error'
import type { Verdict } from '#lib/models/verdicts'
import { cancelledEnd, earlierCall, failedEnd, noCall, type CallEnd, type EarlierCall } from '#lib/worker/call-end'
import type { NamedPlace } from '#lib/worker/permits'

/** How an attempt that has ended is told: by the call that ended it, with the calls before. */
export function toCallEnd(stored: StoredAttempt, answer: unknown, place: NamedPlace, nowMs: number): CallEnd {
  const last = stored.calls.find((call) => call.callNo === stored.last)
  const earlier = stored.calls.filter((call) => call !== last).map((call) => toEarlier(call, place, nowMs))
  if (last?.end === undefined) return closedEnd(stored, earlier, nowMs)
  const { endedAtMs, promptTokens, completionTokens, standIn, failure } = last.end
  const { callNo, startedAtMs } = last
  const made = { callNo, backend: place.id, region: place.region, startedAtMs, endedAtMs, earlier }
  if (failure !== undefined) return failedEnd(made, new ModelCallError(toReason(failure.reason), failure.message))
  // Its key went before the hash did: the answer was paid for and cannot be had again.
  if (answer === null) return failedEnd(made, new ModelCallError('cut_off', 'the stored answer is gone'))
  const completion = answer as ChatCompletion
  return { ...made, kind: 'answered', answer: { completion, promptTokens, completionTokens, standIn } }
}

function closedEnd(stored: StoredAttempt, earlier: EarlierCall[], nowMs: number): CallEnd {
  const made = noCall(nowMs, earlier)
  if (stored.closed === 'deadline') return { ...made, kind: 'expired', outcomeUnknown: false }
  if (stored.closed === 'cancelled') return cancelledEnd(nowMs, earlier)
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

function toEarlier({ callNo, startedAtMs, end }: StoredCall, place: NamedPlace, nowMs: number): EarlierCall {
  const made = { callNo, backend: place.id, region: place.region, startedAtMs, endedAtMs: end?.endedAtMs ?? nowMs }
  if (end?.failure) return earlierCall(made, new ModelCallError(toReason(end.failure.reason), end.failure.message))
  const detail = end ? 'answered too late' : cutShort
  return { ...made, verdict: 'backend_unavailable', detail, outcomeUnknown: true }
}

/** Written by another release, perhaps. */
function toReason(reason: string): CallFailure {
  return reason in callFailures ? (reason as CallFailure) : 'cut_off'
}

/** Whether a call of the attempt is under way, as far as anybody knows: it runs, or its process has died. */
export function isCalling(stored: StoredAttempt | null): boolean {
  return stored !== null && !stored.ended && stored.calls.some((call) => call.end === undefined)
}
