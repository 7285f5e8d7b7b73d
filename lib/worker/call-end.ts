import type { StepOrders } from '#lib/control/orders-in-force'
import type { ChatRequest } from '#lib/events/chat-request'
import type { RoutedStep } from '#lib/events/types.generated'
import type { ChatAnswer } from '#lib/models/chat-model'
import type { CallFailure, ModelCallError } from '#lib/models/model-call-error'
import type { Verdict } from '#lib/models/verdicts'
import type { CompiledPolicy } from '#lib/policy/compile-policy'
import type { PolicyModel } from '#lib/policy/schema'
import type { NamedPlace } from './permits.ts'

/** A routed step as far as it is known without its text, which may be sealed. */
export interface RoutedJob {
  routed: RoutedStep
  model: PolicyModel
  /** Whether the step may go there now; asked right before each call, of both policies (permits.ts). */
  permits: (place: NamedPlace) => boolean
  /** What operators have ordered of the step; asked right before each call. */
  orders: StepOrders
  /** Of the model, in the policy in force and in the one that decided: where an earlier handling may have called. */
  knownPlaces: readonly NamedPlace[]
  /** In force when the record was read. */
  policy: CompiledPolicy
  deadlineAtMs: number
}

/** A step that may be sent: everything that a call needs to know. Its texts are open, in memory alone. */
export interface ModelJob extends RoutedJob {
  /** The step's own. */
  request: ChatRequest
  /** What a frontier model gets: the step's own request, with a hint where the policy that decided says so. */
  hinted: ChatRequest
}

/** A call of an attempt that brought no answer, and was not its last word: whoever was called has seen the prompt. */
export interface EarlierCall {
  callNo: number
  /** Id of the backend or provider. */
  backend: string
  region: string
  startedAtMs: number
  endedAtMs: number
  verdict: Exclude<Verdict, 'ok'>
  detail: string
  /** It may have been billed: it is charged at its bound. */
  outcomeUnknown: boolean
}

interface CallMade {
  /** Of the last call; 0 when none was made. */
  callNo: number
  /** Id of the backend or provider; empty when none was reached. */
  backend: string
  region: string
  startedAtMs: number
  endedAtMs: number
  /** Calls of this attempt before the last one. */
  earlier: readonly EarlierCall[]
}

/** How the calls of one attempt ended. */
export type CallEnd = CallMade &
  (
    | { kind: 'answered'; answer: ChatAnswer }
    | { kind: 'failed'; verdict: Exclude<Verdict, 'ok'>; detail: string; outcomeUnknown: boolean }
    /** The step's deadline passed; `outcomeUnknown` where a call was under way. */
    | { kind: 'expired'; outcomeUnknown: boolean }
    /** An operator cancelled the step, and no call was under way. */
    | { kind: 'cancelled'; outcomeUnknown: false }
  )

/** Makes the calls of one attempt, with its retries; gives up at the deadline. Throws only what is no fault of the model. */
export type CallModel = (job: ModelJob, signal: AbortSignal) => Promise<CallEnd>

const verdictOf = {
  rate_limited: 'backend_overloaded',
  overloaded: 'backend_overloaded',
  server_error: 'backend_unavailable',
  unreachable: 'backend_unavailable',
  cut_off: 'backend_unavailable',
  malformed: 'response_malformed',
  timeout: 'backend_timeout',
  deadline: 'backend_timeout',
  cancelled: 'backend_timeout',
  bad_request: 'backend_refused',
  context_length: 'context_exceeded',
  unsupported: 'backend_refused',
  auth: 'access_denied',
  not_recorded: 'no_recorded_answer',
  quota: 'quota_exhausted',
} as const satisfies Record<CallFailure, Exclude<Verdict, 'ok'>>

/** The last call's failure as the end of the attempt. */
export function failedEnd(made: CallMade, error: ModelCallError): CallEnd {
  const { outcomeUnknown } = error
  if (error.reason === 'deadline') return { ...made, kind: 'expired', outcomeUnknown }
  const detail = `${error.reason}: ${error.message}`
  return { ...made, kind: 'failed', verdict: verdictOf[error.reason], detail, outcomeUnknown }
}

/** A call that failed and was followed by another, or by nothing. */
export function earlierCall(made: Omit<CallMade, 'earlier'>, error: ModelCallError): EarlierCall {
  const { callNo, backend, region, startedAtMs, endedAtMs } = made
  const { outcomeUnknown } = error
  const verdict = outcomeUnknown ? 'backend_unavailable' : verdictOf[error.reason]
  const detail = `${error.reason}: ${error.message}`
  return { callNo, backend, region, startedAtMs, endedAtMs, verdict, detail, outcomeUnknown }
}

/** Cancelled before it was called, after calls that brought nothing where there are any. */
export function cancelledEnd(nowMs: number, earlier: readonly EarlierCall[] = []): CallEnd {
  return { ...noCall(nowMs, earlier), kind: 'cancelled', outcomeUnknown: false }
}

/** No call was made, or none that is known of. */
export function noCall(nowMs: number, earlier: readonly EarlierCall[] = []): CallMade {
  return { callNo: 0, backend: '', region: '', startedAtMs: nowMs, endedAtMs: nowMs, earlier }
}

/** Each needs a bound of its own beside that of the next call. */
export function countUnknown(earlier: readonly EarlierCall[]): number {
  return earlier.filter(({ outcomeUnknown }) => outcomeUnknown).length
}
