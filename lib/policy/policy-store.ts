import { setTimeout as sleep } from 'node:timers/promises'
import { isRetryable } from '#lib/errors'
import type { Codec } from '#lib/events/codec'
import { inNamespace } from '#lib/events/topics'
import type { KafkaFactory } from '#lib/stream/kafka'
import { createTail } from '#lib/stream/tail'
import type { InboundRecord } from '#lib/stream/types'
import type { Logger } from '#lib/telemetry/logger'
import type { ControlOrder, StepKind } from '#lib/events/types.generated'
import type { ReferenceHistogram } from '#lib/routing/observables'
import type { Scorer } from '#lib/routing/score'
import type { CompiledPolicy } from './compile-policy.ts'
import { parsePolicyContent } from './load.ts'
import { policyOrderName, readPolicyOrder } from './policy-order.ts'
import { trainedHashOf } from './scorer-choice.ts'
import { createScorerAssembly } from './scorer-parts.ts'

/** A policy and the hash that names it. */
export interface KnownPolicy {
  hash: string
  policy: CompiledPolicy
}

/** A trained scorer, ready to score. */
export interface TrainedScorer {
  scorer: Scorer
  /** What it was trained on, to hold against what it is given. */
  reference: readonly ReferenceHistogram[]
  /** Labels that it was trained on, by kind. */
  kinds: Readonly<Partial<Record<StepKind, number>>>
}

export interface PolicyInForce extends KnownPolicy {
  /** The trained scorer of the policy; null where it has none, and in a process that scores nothing. */
  trained: TrainedScorer | null
}

export interface PolicyStore extends AsyncDisposable {
  /** Undefined while none is in force, or while the one that is could not be read yet. */
  inForce(): PolicyInForce | undefined
  /** Any policy that agent.policies holds: a step keeps the one that decided it. */
  byHash(hash: string): KnownPolicy | undefined
  /** Tenants of all policies that agent.policies holds: each may have spent. */
  tenantIds(): readonly string[]
  /** Whether a scorer is here, whole; never in a process that scores nothing. */
  hasScorer(hash: string): boolean
  /** Resolves once everything that was published before has been read; true if a policy is in force then. */
  ready(): Promise<boolean>
  /** Calls back whenever another policy comes in force, and at once where one is. */
  onChange(listener: (policy: PolicyInForce) => void): void
}

export interface PolicyStoreDeps {
  kafka: KafkaFactory
  codec: Pick<Codec, 'decode'>
  log: Pick<Logger, 'info' | 'warn' | 'error' | 'debug'>
  /**
   * Makes a scorer of its bytes, whose hash was compared before; throws for what this release cannot read. Left out by a
   * process that scores nothing: it holds no scorers, and a policy comes in force there without its own.
   */
  readScorer?: (bytes: Buffer, hash: string) => TrainedScorer
  /** Given the orders of agent.control that are not for this store, so that a process reads the topic once. */
  onOrder?: (order: ControlOrder) => void
}

/**
 * Follows agent.policies and agent.control, so that a policy is in force in every process within moments of its order,
 * without a restart. What cannot be read is logged and passed over: the policy in force stays. So it does until the
 * scorer of the one that was ordered is here: scorer and threshold change together, or not at all.
 */
export function createPolicyStore(deps: PolicyStoreDeps, options: { namespace: string }): PolicyStore {
  const { log } = deps
  const policies = new Map<string, KnownPolicy>()
  const assembly = createScorerAssembly()
  // Each is read once, when a policy first needs it; null: it could not be.
  const scorers = new Map<string, TrainedScorer | null>()
  const listeners = new Set<(policy: PolicyInForce) => void>()
  const stop = new AbortController()
  let orderedHash: string | undefined
  let current: PolicyInForce | undefined
  let caughtUp = false
  // The policy of which was told that it waits for its scorer.
  let waiting: string | undefined

  // The order may come before its policy: they are in two topics. And until everything has been read, an order may be one
  // that a later one has long replaced.
  function follow(): void {
    if (!caughtUp) return
    const ordered = orderedHash === undefined ? undefined : policies.get(orderedHash)
    if (!ordered || ordered.hash === current?.hash) return
    const trained = scorerFor(ordered)
    if (trained === undefined) return
    current = { ...ordered, trained }
    log.info({ policyHash: ordered.hash, scorerHash: trained?.scorer.hash ?? null }, 'policy in force')
    for (const listener of listeners) listener(current)
  }

  /** Null where the policy needs none here; undefined while the one that it needs is not to be had. */
  function scorerFor({ hash: policyHash, policy }: KnownPolicy): TrainedScorer | null | undefined {
    const hash = trainedHashOf(policy)
    if (hash === null || !deps.readScorer) return null
    const known = scorers.get(hash)
    if (known !== undefined) return known ?? undefined
    const bytes = assembly.bytesOf(hash)
    if (!bytes) {
      if (waiting !== policyHash)
        log.warn({ policyHash, scorerHash: hash }, 'the policy that was ordered waits for its scorer')
      waiting = policyHash
      return undefined
    }
    try {
      const read = deps.readScorer(bytes, hash)
      scorers.set(hash, read)
      return read
    } catch (err) {
      scorers.set(hash, null)
      log.error({ policyHash, scorerHash: hash, err }, 'the scorer of the policy that was ordered cannot be read')
      return undefined
    }
  }

  async function readPolicy(value: Buffer): Promise<void> {
    const record = await deps.codec.decode('policy-record', value)
    if (record.type === 'scorer' && deps.readScorer) {
      const assembled = assembly.add(record)
      if (assembled === 'damaged' || assembled === 'malformed')
        log.error({ scorerHash: record.hash, part: record.part, parts: record.parts }, `a scorer is ${assembled}`)
    }
    if (record.type !== 'policy' || policies.has(record.hash)) return
    const { policy } = parsePolicyContent(record.content.toString(), record.hash)
    policies.set(record.hash, { hash: record.hash, policy })
  }

  async function readOrder(value: Buffer): Promise<void> {
    const order = await deps.codec.decode('control-order', value)
    if (order.name !== policyOrderName) return deps.onOrder?.(order)
    const hash = readPolicyOrder(order)
    if (hash === null) return log.error({ orderId: order.orderId }, 'an order names no policy')
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
    tenantIds: () => [...new Set([...policies.values()].flatMap(({ policy }) => [...policy.index.tenants.keys()]))],
    hasScorer: (hash) => assembly.bytesOf(hash) !== undefined,
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
