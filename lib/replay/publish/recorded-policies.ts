import { readRange, type ReadDeps } from '#lib/client/topic-range'
import type { Codec } from '#lib/events/codec'
import { inNamespace } from '#lib/events/topics'
import type { ControlOrder } from '#lib/events/types.generated'
import { parsePolicyContent, type LoadedPolicy } from '#lib/policy/load'
import { policyOrderName } from '#lib/policy/policy-order'
import { createScorerAssembly, scorerBytes, type ScorerBytes } from '#lib/policy/scorer-parts'

/** What a namespace's agent.policies and agent.control hold now. */
export interface RecordedPolicies {
  /** Null where none is. Throws SHUNT_POLICY_INVALID for one that this release cannot read. */
  inForce(): LoadedPolicy | null
  scorer(hash: string): ScorerBytes | null
  /** The last order of a name. */
  order(name: string): ControlOrder | undefined
}

/** Reads both topics once, with nothing of theirs changed. Throws SHUNT_KAFKA_UNAVAILABLE, SHUNT_TOPICS_NOT_APPLIED. */
export async function readPolicies(
  deps: ReadDeps & { codec: Pick<Codec, 'decode'> },
  options: { namespace: string; signal: AbortSignal },
): Promise<RecordedPolicies> {
  const policiesTopic = inNamespace(options.namespace, 'agent.policies')
  const contents = new Map<string, Buffer>()
  const scorers = createScorerAssembly()
  const orders = new Map<string, ControlOrder>()
  await readRange(deps, {
    topics: [policiesTopic, inNamespace(options.namespace, 'agent.control')],
    from: 'beginning',
    signal: options.signal,
    async onRecord({ topic, value }) {
      if (value === null) return
      if (topic !== policiesTopic) {
        const order = await deps.codec.decode('control-order', value)
        orders.set(order.name, order)
        return
      }
      const record = await deps.codec.decode('policy-record', value)
      if (record.type === 'scorer') scorers.add(record)
      else contents.set(record.hash, record.content)
    },
  })
  return {
    inForce() {
      const { hash } = JSON.parse(orders.get(policyOrderName)?.value ?? '{}') as { hash?: string }
      const content = hash === undefined ? undefined : contents.get(hash)
      return content ? parsePolicyContent(content.toString(), hash!) : null
    },
    scorer(hash) {
      const bytes = scorers.bytesOf(hash)
      return bytes ? scorerBytes(bytes) : null
    },
    order: (name) => orders.get(name),
  }
}
