import { readableIds } from '#lib/events/ids'
import { parseStep, stepIdsOf } from '#lib/events/parse-step'
import type { StepIds } from '#lib/events/step-error'
import { buildStepResult } from '#lib/events/step-result'
import { outOfNamespace } from '#lib/events/topics'
import type { AgentStep, StepResult } from '#lib/events/types.generated'
import { errorCodeOf, isRetryable, messageOf } from '#lib/errors'
import { formatOrigin } from '#lib/audit/records'
import type { Claims } from '#lib/ledger/claims'
import type { InboundRecord, Reject } from '#lib/stream/types'
import { createRejectRouted, deadLetterWith, type RejectDeps } from '#lib/worker/reject-record'

export interface ClassifierRejectDeps extends RejectDeps {
  claims: Pick<Claims, 'holder'>
}

/**
 * A record that cannot be decided becomes a dead letter with its bytes, and, where the step can be named, a result:
 * `failed` if this record holds the step's claim (a step that was accepted must end), `rejected` if it claimed nothing.
 */
export function createReject(deps: ClassifierRejectDeps): Reject {
  const rejectRouted = createRejectRouted(deps)
  return async (record, error) =>
    outOfNamespace(deps.namespace, record.topic)?.startsWith('agent.steps.reroute')
      ? rejectRouted(record, error)
      : deadLetterWith(deps, record, error, await resultOf(deps, record, error))
}

async function resultOf(deps: ClassifierRejectDeps, record: InboundRecord, error: unknown): Promise<StepResult | null> {
  const step = await nameStep(deps, record, error)
  if (!step) return null
  const claimed = (await deps.claims.holder(step)) === formatOrigin(record)
  const origin = {
    topic: record.topic,
    partition: record.partition,
    offset: record.offset,
    receivedAtMs: record.timestampMs,
  }
  return buildStepResult(step, origin, [], {
    status: claimed ? 'failed' : 'rejected',
    code: errorCodeOf(error),
    message: messageOf(error),
    answer: null,
    answeredBy: null,
    reasons: [],
    policyHash: null,
    finishedAtMs: deps.nowMs(),
  })
}

type NamedStep = Pick<AgentStep, 'stepId' | 'taskId' | 'tenantId' | 'sequence' | 'batchId' | 'metadata'>

/** The step as far as it can be read: whole, or at least its ids, which the error may carry. */
async function nameStep(
  deps: ClassifierRejectDeps,
  record: InboundRecord,
  error: unknown,
): Promise<NamedStep | undefined> {
  try {
    const step = await parseStep(record, deps.codec)
    return readableIds(step)?.taskId === undefined ? byIds(readableIds(step)) : step
  } catch (unreadable) {
    if (isRetryable(unreadable)) throw unreadable
    return byIds(stepIdsOf(error) ?? stepIdsOf(unreadable))
  }
}

/** A result needs a key: without a task, the step stands for its own. */
function byIds(ids: StepIds | undefined): NamedStep | undefined {
  return ids && { taskId: ids.stepId, sequence: null, batchId: null, metadata: {}, ...ids }
}
