import { randomUUID } from 'node:crypto'
import { withAdmin } from '#lib/client/topic-range'
import { ShuntError } from '#lib/errors'
import type { Codec } from '#lib/events/codec'
import { ownResultsTopics } from '#lib/events/results-topic'
import { inNamespace } from '#lib/events/topics'
import { producerConfig, type KafkaFactory } from '#lib/stream/kafka'
import type { LoadedPolicy } from './load.ts'
import { policyOrderName, policyOrderValue } from './policy-order.ts'
import { partKey, splitScorer, type ScorerBytes } from './scorer-parts.ts'

export interface ActivateDeps {
  kafka: KafkaFactory
  codec: Pick<Codec, 'encode'>
  nowMs: () => number
}

export interface ActivateOptions {
  namespace: string
  /** Who orders it, and why: both are kept. */
  actor: string
  reason: string
  /** The policy's trained scorer, where it is not in agent.policies yet. Publishing it again does no harm. */
  scorer?: ScorerBytes | null
}

/**
 * Publishes scorer and policy to agent.policies and, once that is acknowledged, orders the policy in agent.control.
 * Between the two a crash leaves what nobody uses; ordered and unknown a policy or its scorer can never be.
 * Throws SHUNT_KAFKA_UNAVAILABLE (retryable: activating again is safe), and SHUNT_TOPICS_NOT_APPLIED for a policy that
 * names a topic for results that is not there: steps of its tenant could never end.
 */
export async function activatePolicy(
  deps: ActivateDeps,
  loaded: LoadedPolicy,
  options: ActivateOptions,
): Promise<void> {
  const { namespace, actor, reason, scorer = null } = options
  await demandResultsTopics(deps, loaded, namespace)
  const parts = scorer === null ? [] : splitScorer(scorer)
  const policy = deps.codec.encode('policy-record', {
    hash: loaded.hash,
    type: 'policy',
    part: 0,
    parts: 1,
    content: Buffer.from(loaded.content),
  })
  const order = deps.codec.encode('control-order', {
    name: policyOrderName,
    orderId: randomUUID(),
    actor,
    reason,
    atMs: deps.nowMs(),
    value: policyOrderValue(loaded.hash),
  })
  const producer = deps.kafka('shunt-policy').producer(producerConfig())
  try {
    await producer.connect()
    const send = (topic: string, key: string, value: Buffer) =>
      producer.send({ topic: inNamespace(namespace, topic), acks: -1, messages: [{ key, value }] })
    for (const part of parts) await send('agent.policies', partKey(part), deps.codec.encode('policy-record', part))
    await send('agent.policies', loaded.hash, policy)
    await send('agent.control', policyOrderName, order)
  } catch (cause) {
    throw new ShuntError(
      'SHUNT_KAFKA_UNAVAILABLE',
      'the policy could not be published: check KAFKA_BROKERS and `shunt topics apply`, then activate it again',
      { retryable: true, cause },
    )
  } finally {
    await producer.disconnect().catch(() => {})
  }
}

async function demandResultsTopics(
  deps: Pick<ActivateDeps, 'kafka'>,
  { policy }: LoadedPolicy,
  namespace: string,
): Promise<void> {
  const named = ownResultsTopics(policy).map((topic) => inNamespace(namespace, topic))
  if (named.length === 0) return
  const there = new Set(await withAdmin(deps, [], (admin) => admin.listTopics()))
  const missing = named.filter((topic) => !there.has(topic))
  if (missing.length > 0)
    throw new ShuntError(
      'SHUNT_TOPICS_NOT_APPLIED',
      `the policy names topics that are not there (${missing.join(', ')}): run \`shunt topics apply --policy FILE\` with it`,
    )
}
