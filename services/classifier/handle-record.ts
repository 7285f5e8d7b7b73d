import { openRequest } from '#lib/erasure/step-texts'
import type { Codec } from '#lib/events/codec'
import { outOfNamespace } from '#lib/events/topics'
import { stepIdsOf } from '#lib/events/parse-step'
import { idsOf } from '#lib/events/step-error'
import { ShuntError } from '#lib/errors'
import { sha256 } from '#lib/audit/records'
import type { PolicyInForce } from '#lib/policy/policy-store'
import type { Handle, InboundRecord } from '#lib/stream/types'
import { admitStep, type AdmitDeps } from './admit-step.ts'
import { decideStep, type DecideDeps, type StepToDecide } from './decide-step.ts'
import { followOrders, type FollowOrdersDeps } from './follow-orders.ts'

export interface HandleDeps extends AdmitDeps, DecideDeps, FollowOrdersDeps {
  codec: Codec
  policyInForce: () => PolicyInForce | undefined
}

/**
 * A record of the classifier's four topics: a new step is admitted first, one that comes back was admitted before and
 * brings its attempts. Both are then decided on the policy in force.
 */
export function createHandle(deps: HandleDeps): Handle {
  return async (record) => {
    const policy = deps.policyInForce()
    if (!policy)
      throw new ShuntError('SHUNT_POLICY_MISSING', 'no policy is in force: run `shunt policy activate FILE`', {
        retryable: true,
      })
    const topic = outOfNamespace(deps.namespace, record.topic)
    const rerouted = topic === 'agent.steps.reroute' || topic === 'agent.steps.reroute.batch'
    const input = rerouted ? await readReroute(deps, record, policy) : await admitted(deps, record, policy)
    if ('records' in input) return input
    const ended = followOrders(deps, { attempts: [], ...input }, policy)
    return ended ?? decideStep(deps, { attempts: [], ...input }, policy)
  }
}

/** As admitStep; the record of a step that is not valid bears what ids could be read. */
async function admitted(deps: HandleDeps, record: InboundRecord, policy: PolicyInForce) {
  try {
    return await admitStep(deps, record, policy)
  } catch (error) {
    const ids = stepIdsOf(error)
    if (ids) record.ids = ids
    throw error
  }
}

async function readReroute(deps: HandleDeps, record: InboundRecord, policy: PolicyInForce): Promise<StepToDecide> {
  const { step, origin, attempts } = await deps.codec.decode('routed-step', record.value)
  record.ids = idsOf(step)
  const open = await openRequest(deps.keys, step, policy.policy)
  return { step, open, origin, attempts, contentHash: sha256(record.value!) }
}
