import type { Codec } from '#lib/events/codec'
import { outOfNamespace } from '#lib/events/topics'
import type { PolicyInForce } from '#lib/policy/policy-store'
import type { InboundRecord } from '#lib/stream/types'
import { publishedTenant, tenantOfHeader } from '#lib/worker/fair-key'

export interface FairKeyDeps {
  codec: Pick<Codec, 'peekString'>
  namespace: string
  policyInForce: () => PolicyInForce | undefined
}

/** Whose turn a record takes in its lane: of a step that comes back by its header, of a published one by its value. */
export function createFairKey(deps: FairKeyDeps): (record: InboundRecord) => string {
  return (record) => {
    const topic = outOfNamespace(deps.namespace, record.topic)
    if (topic === 'agent.steps.reroute' || topic === 'agent.steps.reroute.batch') return tenantOfHeader(record)
    return publishedTenant(record, deps.codec, deps.policyInForce()?.policy)
  }
}
