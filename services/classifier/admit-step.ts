import { openStep, type Keys, type OpenRequest } from '#lib/erasure/step-texts'
import type { Codec } from '#lib/events/codec'
import { parseStep } from '#lib/events/parse-step'
import { inNamespace, twinFor } from '#lib/events/topics'
import type { AgentStep, StepOrigin } from '#lib/events/types.generated'
import { idsOf, StepParseError } from '#lib/events/step-error'
import { duplicateDraft, formatOrigin, sha256 } from '#lib/audit/records'
import { tenantOf } from '#lib/events/tenant'
import type { Claims } from '#lib/ledger/claims'
import type { PolicyInForce } from '#lib/policy/policy-store'
import type { Handled, InboundRecord, OutboundRecord } from '#lib/stream/types'

export interface AdmitDeps {
  codec: Codec
  claims: Claims
  namespace: string
  keys: Keys
}

/** A step that is ours to decide: valid, in the right twin, and claimed by this very record. */
export interface AdmittedStep {
  /** As it was published: sealed, perhaps. */
  step: AgentStep
  open: OpenRequest
  origin: StepOrigin
  /** sha256 of the record's value. */
  contentHash: Buffer
}

/**
 * From a record of agent.steps or its twin to a claimed step, or to what is written instead: the record moved to its
 * twin, or a duplicate's audit record. The claim comes last: what is rejected or moved claims nothing.
 * Throws ShuntErrors; those that name the step carry its ids.
 */
export async function admitStep(
  deps: AdmitDeps,
  record: InboundRecord,
  policy: PolicyInForce,
): Promise<AdmittedStep | Handled> {
  const step = await parseStep(record, deps.codec)
  const open = await openStep(deps.keys, step, policy.policy)
  record.ids = idsOf(step)

  const twin = inNamespace(deps.namespace, twinFor('agent.steps', step.priority))
  if (record.topic !== twin) return { records: [moved(record, twin, step.taskId)] }

  const origin = {
    topic: record.topic,
    partition: record.partition,
    offset: record.offset,
    receivedAtMs: record.timestampMs,
  }
  const contentHash = sha256(record.value!)
  const claim = {
    tenantId: step.tenantId,
    stepId: step.stepId,
    origin: formatOrigin(record),
    contentHash: contentHash.toString('hex'),
  }
  const { state, holder } = await deps.claims.claim(
    claim,
    policy.policy.limits.dedupeWindowMs,
    tenantOf(policy.policy, step.tenantId) !== undefined,
  )
  switch (state) {
    case 'claimed':
    case 'redelivered':
      return { step, open, origin, contentHash }
    case 'duplicate': {
      const { stepId, taskId, tenantId } = step
      const draft = duplicateDraft(deps.codec, { stepId, taskId, tenantId, origin, first: holder, contentHash })
      return { records: [], audit: [draft] }
    }
    case 'conflict':
      throw new StepParseError(
        'SHUNT_STEP_ID_CONFLICT',
        `stepId ${step.stepId} was published before with other content (${holder}): give each step an id of its own`,
        step,
      )
  }
}

/**
 * The record as it was published, to the topic where it belongs; compressed, since its publisher may have needed that to
 * stay under the topic's limit.
 */
function moved(record: InboundRecord, topic: string, taskId: string): OutboundRecord {
  const headers: Record<string, string | Buffer> = {}
  for (const [name, value] of Object.entries(record.headers)) if (value !== undefined) headers[name] = value
  return { topic, key: record.key ?? taskId, value: record.value, headers, compress: true }
}
