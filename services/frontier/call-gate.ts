import type { CallUsage, ProviderLimits, Reservation, ReserveAnswer, WaitsFor } from '#lib/ledger/provider-limits'
import type { CallSize, ProviderWindow } from '#lib/ledger/provider-window'
import { describeError, type Logger } from '#lib/telemetry/logger'
import type { LaneClass } from '#lib/stream/capacity'
import { createCallSlots } from './call-slots.ts'
import { createTurns } from './turns.ts'

/** What holds calls back besides the slots. */
export interface CallLimits {
  /** Null: the provider has none that are known. */
  window: ProviderWindow | null
  headroomPpm: number
}

/** A call that may be made now. */
export interface Admission {
  /** False where so much time went by that the request might arrive after its reservation ended: it is not sent. */
  inTime(): boolean
  /** Frees the slot, and corrects what was reserved. Never throws. */
  leave(usage: Pick<CallUsage, 'used' | 'report'>): Promise<void>
}

/**
 * Where the jobs of one queue wait until their call may be made: for a slot of this process, and for the provider's
 * limits, which all replicas share. A job waits here, and not in BullMQ, whose rate limit is looked at only when a call
 * of the process ends. It holds no slot meanwhile, and only the first of its class asks: the others would get in before
 * it, the larger ones never.
 */
export interface CallGate {
  /** Null where no window of the provider's is large enough. Rejects with the signal's reason. */
  enter(size: CallSize, laneClass: LaneClass, signal: AbortSignal): Promise<Admission | null>
  /** No call of anybody's for `ms`: the provider asked for it. */
  pause(ms: number): Promise<void>
  apply(limits: CallLimits, maxInFlight: number): void
}

export interface CallGateDeps {
  limits: ProviderLimits
  batchSharePpm: () => number
  interactiveReservePpm: () => number
  /** It shares another namespace's limits, where interactive steps come first: all of its calls count as batch. */
  isGuest: boolean
  /** Told once a job. */
  onWait: (laneClass: LaneClass, waitsFor: WaitsFor) => void
  log: Pick<Logger, 'warn'>
  /** Of a clock that is never set. */
  monotonicMs: () => number
}

/** Longest time between two questions: what other replicas give back is seen only by asking. */
const askEveryMs = 250

export function createCallGate(
  deps: CallGateDeps,
  options: CallLimits & { queue: string; maxInFlight: number },
): CallGate {
  const { limits } = deps
  const { queue } = options
  let { window, headroomPpm } = options
  const slots = createCallSlots({ ...deps, maxInFlight: options.maxInFlight })
  const turns = { interactive: createTurns(), batch: createTurns() }
  const asleep = new Set<() => void>()
  const wake = () => asleep.forEach((each) => each())

  const shareOf = (laneClass: LaneClass) =>
    laneClass === 'batch' || deps.isGuest ? { headroomPpm, sharePpm: Math.max(10_000, deps.batchSharePpm()) } : null

  async function ask(size: CallSize, laneClass: LaneClass): Promise<ReserveAnswer | { kind: 'free' }> {
    if (window) return limits.reserve(queue, window, size, shareOf(laneClass))
    const waitMs = await limits.pausedMs(queue)
    return waitMs > 0 ? { kind: 'wait', waitMs, waitsFor: 'pause' } : { kind: 'free' }
  }

  function admission(laneClass: LaneClass, reservation: Reservation | null, askedAtMs: number): Admission {
    const reservedIn = window
    return {
      // The other half of the guard time is the network's.
      inTime: () => !reservedIn || deps.monotonicMs() - askedAtMs <= reservedIn.guardMs / 2,
      async leave(usage) {
        slots.release(laneClass)
        if (!reservedIn || !reservation) return
        try {
          await limits.settle(queue, reservedIn, reservation, { ...usage, batch: shareOf(laneClass) })
          wake()
        } catch (error) {
          // The bound stands until it ends by itself.
          deps.log.warn({ err: describeError(error) }, 'a reservation was not corrected')
        }
      },
    }
  }

  /** With the slot that an admission holds; a refusal has given it back. */
  async function tryToEnter(
    size: CallSize,
    laneClass: LaneClass,
    signal: AbortSignal,
  ): Promise<Admission | Exclude<ReserveAnswer, Reservation>> {
    await slots.acquire(laneClass, signal)
    const askedAtMs = deps.monotonicMs()
    let answer: Awaited<ReturnType<typeof ask>> | undefined
    try {
      answer = await ask(size, laneClass)
    } finally {
      if (answer?.kind !== 'free' && answer?.kind !== 'reserved') slots.release(laneClass)
    }
    if (answer.kind === 'free') return admission(laneClass, null, askedAtMs)
    return answer.kind === 'reserved' ? admission(laneClass, answer, askedAtMs) : answer
  }

  return {
    async enter(size, laneClass, signal) {
      using _turn = await turns[laneClass].take(signal)
      for (let told = false; ; told = true) {
        const answer = await tryToEnter(size, laneClass, signal)
        if (!('kind' in answer)) return answer
        if (!told) deps.onWait(laneClass, answer.waitsFor)
        if (answer.kind === 'never') return null
        await sleepUntilWoken(asleep, Math.min(answer.waitMs, askEveryMs), signal)
      }
    },
    pause: (ms) => limits.pause(queue, ms),
    apply(next, maxInFlight) {
      ;({ window, headroomPpm } = next)
      slots.setMaxInFlight(maxInFlight)
      wake()
    },
  }
}

function sleepUntilWoken(asleep: Set<() => void>, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (then: () => void) => {
      clearTimeout(timer)
      asleep.delete(awake)
      signal.removeEventListener('abort', abort)
      then()
    }
    const awake = () => end(resolve)
    const abort = () => end(() => reject(signal.reason as Error))
    const timer = setTimeout(awake, ms)
    asleep.add(awake)
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
  })
}
