import { setTimeout as sleep } from 'node:timers/promises'
import { isRetryable } from '#lib/errors'
import type { Codec } from '#lib/events/codec'
import { inNamespace } from '#lib/events/topics'
import type { KafkaFactory } from '#lib/stream/kafka'
import { createTail } from '#lib/stream/tail'
import type { InboundRecord } from '#lib/stream/types'
import type { Logger } from '#lib/telemetry/logger'
import type { CompiledPolicy } from './compile-policy.ts'
import { parsePolicyContent } from './load.ts'

/** Name of the order in agent.control that puts a policy in force; its value is `{"hash": "…"}`. */
export const policyOrderName = 'policy'

/** A policy and the hash that names it. */
export interface PolicyInForce {
  hash: string
  policy: CompiledPolicy
}

export interface PolicyStore extends AsyncDisposable {
  /** Undefined while none is in force, or while the one that is could not be read yet. */
  inForce(): PolicyInForce | undefined
  /** Any policy that agent.policies holds: a step keeps the one that decided it. */
  byHash(hash: string): PolicyInForce | undefined
  /** Resolves once everything that was published before has been read; true if a policy is in force then. */
  ready(): Promise<boolean>
  /** Calls back whenever another policy comes in force, and at once where one is. */
  onChange(listener: (policy: PolicyInForce) => void): void
}

export interface PolicyStoreDeps {
  kafka: KafkaFactory
  codec: Pick<Codec, 'decode'>
  log: Pick<Logger, 'info' | 'warn' | 'error' | 'debug'>
}

/**
 * Follows agent.policies and agent.control, so that a policy is in force in every process within moments of its order,
 * without a restart. What cannot be read is logged and passed over: the policy in force stays.
 */
export function createPolicyStore(deps: PolicyStoreDeps, options: { namespace: string }): PolicyStore {
  const { log } = deps
  const policies = new Map<string, PolicyInForce>()
  const listeners = new Set<(policy: PolicyInForce) => void>()
  const stop = new AbortController()
  let orderedHash: string | undefined
  let current: PolicyInForce | undefined
  let caughtUp = false

  // The order may come before its policy: they are in two topics. And until everything has been read, an order may be one
  // that a later one has long replaced.
  function follow(): void {
    if (!caughtUp) return
    const ordered = orderedHash === undefined ? undefined : policies.get(orderedHash)
    if (!ordered || ordered.hash === current?.hash) return
    current = ordered
    log.info({ policyHash: ordered.hash }, 'policy in force')
    for (const listener of listeners) listener(ordered)
  }

  async function readPolicy(value: Buffer): Promise<void> {
    const record = await deps.codec.decode('policy-record', value)
    if (record.type !== 'policy' || policies.has(record.hash)) return
    const { policy } = parsePolicyContent(record.content.toString(), record.hash)
    policies.set(record.hash, { hash: record.hash, policy })
  }

  async function readOrder(value: Buffer): Promise<void> {
    const order = await deps.codec.decode('control-order', value)
    if (order.name !== policyOrderName) return
    const { hash } = JSON.parse(order.value) as { hash?: unknown }
    if (typeof hash !== 'string') return log.error({ orderId: order.orderId }, 'an order names no policy')
    orderedHash = hash
    if (!policies.has(hash)) log.warn({ policyHash: hash }, 'the policy that was ordered is not known here yet')
  }

  /** A registry that is away must not cost us a policy: the record is read again until it answers. */
  async function read({ topic, value }: InboundRecord): Promise<void> {
    if (value === null) return
    for (;;)
      try {
        await (topic === policiesTopic ? readPolicy(value) : readOrder(value))
        return follow()
      } catch (error) {
        if (!isRetryable(error) || stop.signal.aborted) throw error
        log.warn({ topic, err: error }, 'cannot read a policy or order yet')
        await sleep(1_000, undefined, { signal: stop.signal }).catch(() => {})
      }
  }

  const policiesTopic = inNamespace(options.namespace, 'agent.policies')
  const tail = createTail(deps, {
    topics: [policiesTopic, inNamespace(options.namespace, 'agent.control')],
    from: 'beginning',
    groupPrefix: inNamespace(options.namespace, 'policy-store'),
    onRecord: read,
  })

  const ready = tail.caughtUp.then(() => {
    caughtUp = true
    follow()
    return current !== undefined
  })
  ready.catch(() => {})

  return {
    inForce: () => current,
    byHash: (hash) => policies.get(hash),
    ready: () => ready,
    onChange(listener) {
      listeners.add(listener)
      if (current) listener(current)
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await tail.stop()
    },
  }
}
