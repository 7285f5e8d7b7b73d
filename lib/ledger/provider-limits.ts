import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import { inNamespace } from '#lib/events/topics'
import type { LimitReport } from '#lib/models/rate-limit-headers'
import { loadLuaScript, redisError } from './lua-script.ts'
import { callTimeMs, usedByOthers, type CallSize, type ProviderWindow } from './provider-window.ts'

/** What a call waits for. */
export type WaitsFor =
  | 'requests'
  | 'input_tokens'
  | 'output_tokens'
  | 'tokens'
  /** The provider asked for it (429). */
  | 'pause'
  /** Nobody knows what was called before, so that one window passes without a call. */
  | 'first_window'
  /** Batch calls are spread evenly, so that a backlog does not fill the window at once and close it to others. */
  | 'pace'

/** In the order of the script's codes. */
const waitsFor: readonly WaitsFor[] = [
  'requests',
  'input_tokens',
  'output_tokens',
  'tokens',
  'pause',
  'first_window',
  'pace',
]

/** A call that may be made now. */
export interface Reservation {
  kind: 'reserved'
  id: string
  size: CallSize
  reservedAtMs: number
  /** What of each limit is used, this call with it, as far as we know. */
  used: { requests: number; inputTokens: number; outputTokens: number }
}

export type ReserveAnswer =
  | Reservation
  /** Nothing was reserved; `waitMs` is exact where all that stands in the way are calls that used what they reserved. */
  | { kind: 'wait'; waitMs: number; waitsFor: WaitsFor }
  /** More than a whole window of the limit. */
  | { kind: 'never'; waitsFor: WaitsFor }

/** What a batch call leaves to interactive ones, and what it gets nevertheless. */
export interface BatchShare {
  /** Of each limit; free for interactive calls that come of a sudden. */
  headroomPpm: number
  /** Of each limit; batch calls get it beside any number of interactive ones. */
  sharePpm: number
}

/**
 * How much of a provider's limits is used, over all replicas: a log in Redis of the calls of the last window. A call
 * counts from its reservation for a window and the guard time, by Redis's clock; the provider counts it from its arrival
 * for a window. So whatever took less than the guard time to arrive is counted here all the time that it is there, and
 * the provider's count is at no moment above ours. Corrections come after the provider's own, and err the same way: one
 * that is lost with its process leaves the bound standing until it ends.
 *
 * Why a log of calls, and no counters per second? Counters of whole seconds hold what they count for up to a second
 * more, a sixtieth of the limit; the log costs a few microseconds more (docs/benchmarks.md).
 *
 * Every method throws SHUNT_REDIS_UNAVAILABLE (retryable).
 */
export interface ProviderLimits {
  /**
   * Begins to count, where nobody did. `fresh`: it is known that nothing was called; otherwise, and where a reservation
   * finds that Redis was lost, one window passes without a call. False where it was begun before.
   */
  initialise(queue: string, window: ProviderWindow, fresh: boolean): Promise<boolean>
  /** All limits, or nothing. `batch` for a batch call. */
  reserve(queue: string, window: ProviderWindow, size: CallSize, batch: BatchShare | null): Promise<ReserveAnswer>
  /** After the answer: what was used, where it is known, and what the provider says is left. May be repeated. */
  settle(queue: string, window: ProviderWindow, reservation: Reservation, end: CallUsage): Promise<void>
  /** The provider asked for a pause: no call for `ms`, of anybody. A shorter one than stands changes nothing. */
  pause(queue: string, ms: number): Promise<void>
  /** What is left of the pause; for a provider without limits. */
  pausedMs(queue: string): Promise<number>
}

export interface CallUsage {
  /** `not_sent` gives all back. `unknown` leaves the bound standing. */
  used: CallSize | 'unknown' | 'not_sent'
  report?: LimitReport | undefined
  batch: BatchShare | null
}

export function createProviderLimits(deps: { redis: Redis; namespace: string }): ProviderLimits {
  const { redis } = deps
  const openQuota = loadLuaScript(redis, 'openQuota')
  const reserveQuota = loadLuaScript(redis, 'reserveQuota')
  const settleQuota = loadLuaScript(redis, 'settleQuota')
  // Ids need only differ: a short one keeps the log small.
  const replica = randomUUID().slice(0, 8)
  let made = 0
  const key = (queue: string, part: 'state' | 'log' | 'pause') =>
    inNamespace(deps.namespace, `{${queue}}:limit:${part}`)

  async function initialise(queue: string, window: ProviderWindow, fresh: boolean): Promise<boolean> {
    const keys = [key(queue, 'state'), key(queue, 'log')]
    return (await openQuota(keys, [fresh ? 1 : 0, keepMs(window)])) === 1
  }

  return {
    initialise,
    async reserve(queue, window, size, batch) {
      const id = `${batch ? '+' : ''}${replica}.${(++made).toString(36)}`
      const [code, ...rest] = (await reserveQuota(
        [key(queue, 'state'), key(queue, 'log'), key(queue, 'pause')],
        [
          id,
          size.inputTokens,
          size.outputTokens,
          keepMs(window),
          ...limitsOf(window),
          batch?.headroomPpm ?? -1,
          batch?.sharePpm ?? 0,
          callTimeMs(window, size),
        ],
      )) as [number, ...number[]]
      switch (code) {
        case 1: {
          const [reservedAtMs, requests, inputTokens, outputTokens] = rest as [number, number, number, number]
          return { kind: 'reserved', id, size, reservedAtMs, used: { requests, inputTokens, outputTokens } }
        }
        case 0:
          return { kind: 'wait', waitMs: rest[0]!, waitsFor: waitsFor[rest[1]! - 1]! }
        case -1:
          return { kind: 'never', waitsFor: waitsFor[rest[0]! - 1]! }
        default:
          await initialise(queue, window, false)
          return { kind: 'wait', waitMs: keepMs(window), waitsFor: 'first_window' }
      }
    },
    async settle(queue, window, reservation, { used, report, batch }) {
      const { size, reservedAtMs } = reservation
      const others = report ? usedByOthers(window, reservation.used, report) : null
      if (used === 'unknown' && others === null) return
      const now = used === 'unknown' ? size : used === 'not_sent' ? { inputTokens: 0, outputTokens: 0 } : used
      await settleQuota(
        [key(queue, 'state'), key(queue, 'log')],
        [
          entry(reservation.id, size),
          used === 'not_sent' ? '' : entry(reservation.id, now),
          reservedAtMs + keepMs(window),
          now.inputTokens - size.inputTokens,
          now.outputTokens - size.outputTokens,
          used === 'unknown' ? 0 : callTimeMs(window, size),
          used === 'not_sent' ? 0 : callTimeMs(window, now),
          batch?.sharePpm ?? 0,
          ...(others ? [others.requests, others.inputTokens, others.outputTokens, others.tokens] : [-1, 0, 0, 0]),
          reservedAtMs,
          others?.forMs ?? 0,
        ],
      )
    },
    async pause(queue, ms) {
      try {
        await redis.set(key(queue, 'pause'), '1', 'PX', ms, 'NX')
        await redis.pexpire(key(queue, 'pause'), ms, 'GT')
      } catch (error) {
        throw redisError(error)
      }
    },
    async pausedMs(queue) {
      try {
        return Math.max(0, await redis.pttl(key(queue, 'pause')))
      } catch (error) {
        throw redisError(error)
      }
    },
  }
}

function keepMs(window: ProviderWindow): number {
  return window.windowMs + window.guardMs
}

function limitsOf(window: ProviderWindow): number[] {
  return [window.requests, window.inputTokens, window.outputTokens, window.tokens].map((limit) => limit ?? 0)
}

/** As reserveQuota.lua logs it. */
function entry(id: string, size: CallSize): string {
  return `${id}:${size.inputTokens}:${size.outputTokens}`
}
