import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { formatOrigin } from '#lib/audit/records'
import type { Codec } from '#lib/events/codec'
import { inNamespace, type Topic } from '#lib/events/topics'
import { ShuntError } from '#lib/errors'
import type { KafkaFactory } from '#lib/stream/kafka'
import { createTail, type TailOffsets } from '#lib/stream/tail'
import type { InboundRecord } from '#lib/stream/types'
import type { Logger } from '#lib/telemetry/logger'
import { readBudgetOrder } from './budget-order.ts'
import { createFold } from './fold.ts'
import { foldAuditRecord, foldFeedback } from './fold-record.ts'
import { ledgerKeys } from './keys.ts'
import type { LedgerState, Rebuild } from './ledger-state.ts'
import { setCap } from './caps.ts'

export interface RebuildDeps {
  redis: Redis
  kafka: KafkaFactory
  codec: Pick<Codec, 'decode'>
  state: LedgerState
  log: Pick<Logger, 'info' | 'warn' | 'debug' | 'error'>
  nowMs: () => number
}

export interface RebuildOptions {
  namespace: string
  /** Everyone who may have spent: tenants of all policies that were ever in force. */
  tenantIds: readonly string[]
  /** How long a claim stands. */
  dedupeWindowMs: number
  /**
   * A decision that was made before the ledger was lost may be committed this much later; its transaction ends in ten
   * seconds. Nothing is decided until it has been folded in. Not waited for where nothing ever was.
   * @default 12_000
   */
  settleMs?: number
  /** The log holds nothing, or orders alone: nothing was ever decided. Awaited before the ledger stands. */
  onEmpty?: () => Promise<void>
  onProgress?: (progress: RebuildProgress) => void
  signal?: AbortSignal
}

export interface RebuildProgress {
  folded: number
  /** Records to fold, as far as the log went when they were counted. */
  total: number
}

/** Folded at once, over all partitions; of one tenant in one partition one by one. */
const maxUnderWay = 500
const renewEveryMs = 3_000

/**
 * The fold from the beginning of the log: budgets, failures, open reservations and claims, while everything that needs
 * them waits. Resolves with the number of records folded; null where another rebuild is under way.
 * Throws SHUNT_LEDGER_LOST (retryable) where another took over, and what Redis, the broker or the registry give.
 */
export async function rebuildLedger(deps: RebuildDeps, options: RebuildOptions): Promise<number | null> {
  const startedAtMs = deps.nowMs()
  const rebuild = await deps.state.begin(options.tenantIds)
  if (!rebuild) return null
  const stop = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal
  const renewing = renew(rebuild, deps, stop)
  try {
    const reader = createLogReader(deps, options, rebuild, signal)
    await reader.read('agent.control')
    await reader.read('agent.audit')
    if (reader.sawWork()) {
      await sleep(Math.max(0, startedAtMs + (options.settleMs ?? 12_000) - deps.nowMs()), undefined, { signal })
      await reader.read('agent.audit')
    } else await options.onEmpty?.()
    // Last: a verdict finds what the audit says of its step.
    await reader.read('agent.feedback')
    if (!(await rebuild.finish(options.tenantIds, reader.positions()))) throw takenOver()
    deps.log.info({ folded: reader.folded(), ms: deps.nowMs() - startedAtMs }, 'ledger rebuilt')
    return reader.folded()
  } catch (error) {
    await rebuild.giveUp().catch(() => {})
    throw stop.signal.aborted ? takenOver() : error
  } finally {
    stop.abort()
    await renewing
  }
}

async function renew(rebuild: Rebuild, deps: Pick<RebuildDeps, 'log'>, stop: AbortController): Promise<void> {
  while (!stop.signal.aborted) {
    await sleep(renewEveryMs, undefined, { signal: stop.signal }).catch(() => {})
    if (stop.signal.aborted) return
    try {
      if (await rebuild.renew()) continue
    } catch (err) {
      deps.log.warn({ err }, 'cannot renew the rebuild of the ledger')
      continue
    }
    stop.abort()
  }
}

function takenOver(): ShuntError {
  return new ShuntError('SHUNT_LEDGER_LOST', 'another rebuild of the ledger has taken over', { retryable: true })
}

function createLogReader(deps: RebuildDeps, options: RebuildOptions, rebuild: Rebuild, signal: AbortSignal) {
  const { redis, codec } = deps
  const { namespace } = options
  const fold = createFold({ redis, namespace }, rebuild.token)
  const keys = ledgerKeys(namespace)
  const positions = new Map<string, number>()
  // What was begun last of each tenant in each partition: the next of them follows it.
  const chains = new Map<string, Promise<unknown>>()
  let underWay = 0
  let folded = 0
  let sawWork = false
  let failure: { error: unknown } | null = null

  /** Claims are no part of the fold: the first record of a step was claimed when it was decided. */
  async function restoreClaim(body: Buffer): Promise<void> {
    const { stepId, facts, origin, contentHash, attempt, snapshot } = await codec.decode('decision-record', body)
    const leftMs = snapshot.nowMs + options.dedupeWindowMs - deps.nowMs()
    if (attempt !== 1 || leftMs <= 0) return
    const claim = `${formatOrigin(origin)}#${contentHash.toString('hex')}`
    await redis.set(keys.claim(facts.tenantId, stepId), claim, 'PX', leftMs, 'NX')
  }

  async function take(topic: Topic, record: InboundRecord): Promise<void> {
    const at = { place: placeOf(topic, record), offset: record.offset }
    positions.set(at.place, record.offset)
    if (topic === 'agent.control') {
      const order = readBudgetOrder(await codec.decode('control-order', record.value))
      if (order) await setCap({ redis, namespace }, order)
    } else if (topic === 'agent.feedback') {
      await inTurn(at.place, () => foldFeedback(fold, codec, record, at))
    } else {
      const link = await codec.decode('audit-record', record.value)
      // The ledger writes orders down by itself, the first policy's among them, and that perhaps before it is read here.
      sawWork ||= link.type !== 'operator' && link.type !== 'policy_activated'
      await inTurn(at.place, async () => {
        await foldAuditRecord(fold, codec, link, at)
        if (link.type === 'decision') await restoreClaim(link.body)
      })
    }
    folded += 1
  }

  /** Bytes that are no record are in the log as in any other: they stand for nothing. */
  function passOver(error: unknown): void {
    if (error instanceof ShuntError && !error.retryable) deps.log.warn({ err: error }, 'a record cannot be folded')
    else failure ??= { error }
  }

  /** Begins `work` after what was begun under the same name; waits only where too much is under way. */
  async function inTurn(name: string, work: () => Promise<unknown>): Promise<void> {
    const turn = (chains.get(name) ?? Promise.resolve()).then(work).catch(passOver)
    chains.set(name, turn)
    underWay += 1
    void turn.finally(() => {
      underWay -= 1
      if (chains.get(name) === turn) chains.delete(name)
    })
    if (underWay >= maxUnderWay) await turn
  }

  return {
    folded: () => folded,
    /** Whether the audit holds anything but orders. */
    sawWork: () => sawWork,
    positions: () => Object.fromEntries(positions),
    async read(topic: Topic): Promise<void> {
      const name = inNamespace(namespace, topic)
      const total = folded + (await countRecords(deps, name, startOf(name, topic, positions)))
      const tail = createTail(deps, {
        topics: [name],
        from: startOf(name, topic, positions),
        groupPrefix: inNamespace(namespace, 'ledger-rebuild'),
        onRecord: async (record) => {
          if (failure || record.value === null) return
          await take(topic, record).catch(passOver)
          if (folded % 1_000 === 0) options.onProgress?.({ folded, total: Math.max(total, folded) })
        },
      })
      try {
        const over = Promise.withResolvers<never>()
        over.promise.catch(() => {})
        signal.addEventListener('abort', () => over.reject(signal.reason), { once: true })
        signal.throwIfAborted()
        await Promise.race([tail.caughtUp, over.promise])
        await Promise.all(chains.values())
      } finally {
        await tail.stop()
      }
      if (failure) throw failure.error
      options.onProgress?.({ folded, total: Math.max(total, folded) })
    },
  }
}

/** As the ledger names a partition: without the namespace, which its keys bear already. */
export function placeOf(topic: Topic, { partition }: Pick<InboundRecord, 'partition'>): string {
  return `${topic}/${partition}`
}

function startOf(name: string, topic: Topic, positions: ReadonlyMap<string, number>): TailOffsets {
  const partitions: Record<number, number> = {}
  for (const [place, offset] of positions)
    if (place.startsWith(`${topic}/`)) partitions[Number(place.slice(topic.length + 1))] = offset + 1
  return { [name]: partitions }
}

async function countRecords(deps: RebuildDeps, name: string, from: TailOffsets): Promise<number> {
  const admin = deps.kafka('shunt-ledger-rebuild').admin()
  await admin.connect()
  try {
    const offsets = await admin.fetchTopicOffsets(name)
    return offsets.reduce(
      (sum, { partition, low, high }) => sum + Number(high) - Math.max(Number(low), from[name]?.[partition] ?? 0),
      0,
    )
  } finally {
    await admin.disconnect()
  }
}
