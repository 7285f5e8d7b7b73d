import { outcomeDraft } from '#lib/audit/records'
import type { OrdersInForce } from '#lib/control/orders-in-force'
import type { Codec } from '#lib/events/codec'
import type { ResultsTopic } from '#lib/events/results-topic'
import { buildStepResult } from '#lib/events/step-result'
import type { PolicyInForce } from '#lib/policy/policy-store'
import { deadlineOf } from '#lib/routing/deadline'
import type { Handled } from '#lib/stream/types'
import type { StepLog } from '#lib/telemetry/step-log'
import { unanswered } from '#lib/worker/conclude'
import type { StepToDecide } from './decide-step.ts'

export interface FollowOrdersDeps {
  codec: Pick<Codec, 'encode'>
  resultsTopic: ResultsTopic
  orders: Pick<OrdersInForce, 'of'>
  stepLog: Pick<StepLog, 'concluded'>
  nowMs: () => number
}

/**
 * What operators' orders make of a step before it is decided: its result, where it is cancelled; null where it goes on.
 * Throws a HeldError for a step of a paused tenant, until its deadline: that one goes on, and is decided to have expired.
 */
export function followOrders(
  deps: FollowOrdersDeps,
  { step, origin, attempts }: Pick<StepToDecide, 'step' | 'origin' | 'attempts'>,
  { hash, policy }: PolicyInForce,
): Handled | null {
  const { tenantId, taskId, batchId, deadlineAtMs, priority } = step
  const { receivedAtMs } = origin
  const untilMs = deadlineOf({ deadlineAtMs, receivedAtMs, priority }, policy)
  const orders = deps.orders.of({ tenantId, taskId, batchId, publishedAtMs: receivedAtMs, call: null }, untilMs)
  const { is } = orders.standing()
  if (is === 'paused' && deps.nowMs() < untilMs) throw orders.held()
  if (is !== 'cancelled') return null
  const result = buildStepResult(step, origin, attempts, {
    ...unanswered.cancelled,
    answeredBy: null,
    reasons: [],
    policyHash: hash,
    finishedAtMs: deps.nowMs(),
  })
  deps.stepLog.concluded(step, null, 'cancelled')
  const value = deps.codec.encode('step-result', result)
  const topic = deps.resultsTopic(tenantId)
  return { records: [{ topic, key: taskId, value }], audit: [outcomeDraft(deps.codec, result)] }
}
