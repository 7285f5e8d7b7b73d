import type { OrdersInForce } from '#lib/control/orders-in-force'
import { openAnswers, openRequest } from '#lib/erasure/step-texts'
import { errorCodeOf, ShuntError, type ErrorCode } from '#lib/errors'
import type { Codec } from '#lib/events/codec'
import { idsOf } from '#lib/events/step-error'
import type { ChatRequest } from '#lib/events/chat-request'
import type { RoutedStep } from '#lib/events/types.generated'
import type { CompiledPolicy } from '#lib/policy/compile-policy'
import type { KnownPolicy } from '#lib/policy/policy-store'
import { deadlineOf } from '#lib/routing/deadline'
import type { Handle, Handled } from '#lib/stream/types'
import type { Verifier } from '#lib/verification/verifier'
import type { NextTurn } from './batch-turns.ts'
import { noCall, type CallEnd, type CallModel, type ModelJob, type RoutedJob } from './call-end.ts'
import { conclude, endUntried, type ConcludeDeps } from './conclude.ts'
import { hintOf, withHint } from './hint.ts'
import { judge } from './judge.ts'
import { whyNotPermitted, whyNowhere, type ForbiddenBecause, type NamedPlace } from './permits.ts'

/** Why a step ends without an answer. */
export type WithdrawnBecause = 'deadline' | 'cancelled' | 'text_erased'

export interface RoutedStepDeps extends ConcludeDeps {
  codec: Codec
  policies: { inForce(): KnownPolicy | undefined; byHash(hash: string): KnownPolicy | undefined }
  /** How this attempt ended, where an earlier handling of the same record got that far; asked before anything else. */
  recall?: (job: RoutedJob) => Promise<CallEnd | null>
  /**
   * Takes back what an earlier handling may have left to be called, of a step that is to end without an answer: nothing
   * is sent any more. Returns how the attempt ended, or null where none of its calls was made. Throws a HeldError while
   * one is under way.
   */
  withdraw?: (job: RoutedJob, why: WithdrawnBecause) => Promise<CallEnd | null>
  callModel: CallModel
  orders: Pick<OrdersInForce, 'of'>
  /** Awaited before the answer to a batch step is judged and written. @default at once */
  nextTurn?: NextTurn
  verifier: Verifier
}

/** A RoutedStep to its result or back to the classifier: the same for every tier, which differ in how they call. */
export function createHandleRouted(deps: RoutedStepDeps): Handle {
  return async (record, signal) => {
    const routed = await deps.codec.decode('routed-step', record.value)
    record.ids = idsOf(routed.step)
    const { job: prepared, why } = prepare(deps, routed)
    const texts = await openTexts(deps, prepared)
    if ('erased' in texts) return endErased(deps, prepared, texts.erased, signal)
    const job: ModelJob = { ...prepared, ...texts }
    const recalled = await deps.recall?.(job)
    if (recalled) return judged(deps, job, recalled, signal)
    const { is } = job.orders.standing()
    if (is === 'cancelled' || deps.nowMs() >= job.deadlineAtMs) {
      const withdrawn = await deps.withdraw?.(job, is === 'cancelled' ? 'cancelled' : 'deadline')
      if (withdrawn) return judged(deps, job, withdrawn, signal)
      return endUntried(deps, routed, is === 'cancelled' ? 'cancelled' : 'expired')
    }
    if (why !== null) return judged(deps, job, notCalled(deps.nowMs(), why), signal)
    if (is === 'paused') throw job.orders.held()
    const end = await deps.callModel(job, signal)
    if (routed.step.priority === 'batch') await deps.nextTurn?.()
    return judged(deps, job, end, signal)
  }
}

/** Opened with the policy that decided, as the classifier did: what the step may cost was reckoned on that. */
async function openTexts(
  deps: RoutedStepDeps,
  { routed: { step, decision, attempts } }: RoutedJob,
): Promise<Pick<ModelJob, 'request' | 'hinted'> | { erased: unknown }> {
  const decided = deps.policies.byHash(decision.policyHash)!.policy
  try {
    const { request } = await openRequest(deps.keys, step, decided)
    if (decision.tier !== 'frontier') return { request, hinted: request }
    return { request, hinted: withHint(request, hintOf(await openAnswers(deps.keys, step, attempts), decided)) }
  } catch (error) {
    if (neverOpen.has(errorCodeOf(error))) return { erased: error }
    throw error
  }
}

/** The key is gone, or it is another one now: a wrong backup was brought back, perhaps. */
const neverOpen: ReadonlySet<string> = new Set<ErrorCode>(['SHUNT_TEXT_ERASED', 'SHUNT_TEXT_UNREADABLE'])

/** No answer of an erased request is judged. */
const erasedRequest: ChatRequest = { messages: [] }

/** What was spent on a step whose text was erased is told and paid; where nothing was, `why` is thrown and ends it. */
async function endErased(deps: RoutedStepDeps, job: RoutedJob, why: unknown, signal: AbortSignal): Promise<Handled> {
  const end = (await deps.recall?.(job)) ?? (await deps.withdraw?.(job, 'text_erased'))
  if (!end) throw why
  const lost: CallEnd =
    end.kind === 'answered'
      ? { ...end, kind: 'failed', verdict: 'backend_unavailable', detail: 'its text was erased', outcomeUnknown: true }
      : end
  return judged(deps, { ...job, request: erasedRequest, hinted: erasedRequest }, lost, signal)
}

async function judged(deps: RoutedStepDeps, job: ModelJob, end: CallEnd, signal: AbortSignal): Promise<Handled> {
  const judgement = await judge(deps.verifier, job, end)
  // What was cut short by a lost lane or a drain is no end of the step: the record stays and is handled again.
  if (signal.aborted)
    throw new ShuntError('SHUNT_HANDLER_FAILED', 'the lane closed during the call', { retryable: true })
  return conclude(deps, job, end, judgement)
}

/** The step keeps the policy that decided it; where it may go is asked of that one and of the one in force. */
function prepare(deps: RoutedStepDeps, routed: RoutedStep): { job: RoutedJob; why: ForbiddenBecause | null } {
  const { step, origin, decision } = routed
  const inForce = deps.policies.inForce()?.policy
  const decided = deps.policies.byHash(decision.policyHash)?.policy
  if (!inForce || !decided)
    throw new ShuntError('SHUNT_POLICY_MISSING', `policy ${decision.policyHash} is not known here yet`, {
      retryable: true,
    })
  const known = inForce.index.models.get(decision.model)?.model
  // A model that is in the other tier now is as good as gone: the step is decided again.
  const isGone = known?.tier !== decision.tier
  const model = isGone ? decided.index.models.get(decision.model)?.model : known
  if (model?.tier !== decision.tier)
    throw new ShuntError(
      'SHUNT_EVENT_INVALID',
      `the policy that decided has no ${decision.tier} model ${decision.model}`,
    )
  const timed = { deadlineAtMs: step.deadlineAtMs, receivedAtMs: origin.receivedAtMs, priority: step.priority }
  const deadlineAtMs = deadlineOf(timed, decided)
  const permits: RoutedJob['permits'] = (place) => {
    const now = deps.policies.inForce()?.policy ?? inForce
    return whyNotPermitted(step, model.id, place, now, decided) === null
  }
  const { tenantId, taskId, batchId } = step
  const call = { tier: decision.tier, model: decision.model }
  const orders = deps.orders.of({ tenantId, taskId, batchId, publishedAtMs: origin.receivedAtMs, call }, deadlineAtMs)
  const knownPlaces = placesOf(model.id, inForce, decided)
  const job = { routed, model, permits, orders, knownPlaces, policy: inForce, deadlineAtMs }
  return { job, why: isGone ? 'not_in_policy' : whyNowhere(step, model.id, inForce, decided) }
}

function placesOf(modelId: string, ...policies: CompiledPolicy[]): NamedPlace[] {
  const places = policies.flatMap((policy) => policy.index.models.get(modelId)?.places ?? [])
  return [...new Map(places.toReversed().map((place) => [place.id, place])).values()]
}

function notCalled(nowMs: number, why: ForbiddenBecause): CallEnd {
  const verdict = why === 'not_in_policy' ? 'backend_unavailable' : 'constraint_violated'
  return { ...noCall(nowMs), kind: 'failed', verdict, detail: why, outcomeUnknown: false }
}
