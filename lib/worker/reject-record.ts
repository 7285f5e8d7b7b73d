import type { Codec } from '#lib/events/codec'
import type { ResultsTopic } from '#lib/events/results-topic'
import { bestWeakAnswer, buildStepResult } from '#lib/events/step-result'
import { inNamespace } from '#lib/events/topics'
import type { StepResult } from '#lib/events/types.generated'
import { errorCodeOf, isRetryable, messageOf } from '#lib/errors'
import { outcomeDraft } from '#lib/audit/records'
import type { StepLog } from '#lib/telemetry/step-log'
import { deadLetters } from '#lib/stream/dead-letter'
import type { Handled, InboundRecord, Reject } from '#lib/stream/types'

export interface RejectDeps {
  codec: Pick<Codec, 'encode' | 'decode'>
  namespace: string
  resultsTopic: ResultsTopic
  nowMs: () => number
  stepLog: Pick<StepLog, 'rejected'>
}

/** The dead letter of a record, and in the same transaction the result of its step where there is one to end. */
export function deadLetterWith(
  deps: RejectDeps,
  record: InboundRecord,
  error: unknown,
  result: StepResult | null,
): Handled {
  const letters = deadLetters(record, error, {
    topic: inNamespace(deps.namespace, 'agent.deadletter'),
    nowMs: deps.nowMs(),
  })
  if (!result) return { records: letters }
  deps.stepLog.rejected(result)
  const value = deps.codec.encode('step-result', result)
  const topic = deps.resultsTopic(result.tenantId)
  return { records: [...letters, { topic, key: result.taskId, value }], audit: [outcomeDraft(deps.codec, result)] }
}

/**
 * For records that hold a RoutedStep. Its step was claimed, so it ends as failed, with the best answer it got so far;
 * bytes that are no RoutedStep end nothing and become a dead letter alone.
 */
export function createRejectRouted(deps: RejectDeps): Reject {
  return async (record, error) => deadLetterWith(deps, record, error, await failedResult(deps, record, error))
}

async function failedResult(deps: RejectDeps, record: InboundRecord, error: unknown): Promise<StepResult | null> {
  try {
    const { step, origin, attempts, decision } = await deps.codec.decode('routed-step', record.value)
    const weak = bestWeakAnswer(attempts)
    return buildStepResult(step, origin, attempts, {
      status: 'failed',
      code: errorCodeOf(error),
      message: messageOf(error),
      answer: weak?.answer ?? null,
      answeredBy: weak,
      reasons: decision.reasons,
      policyHash: decision.policyHash,
      finishedAtMs: deps.nowMs(),
    })
  } catch (unreadable) {
    if (isRetryable(unreadable)) throw unreadable
    return null
  }
}
