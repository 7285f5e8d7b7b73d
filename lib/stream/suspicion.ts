import { setTimeout as sleep } from 'node:timers/promises'
import { ShuntError } from '#lib/errors'
import type { Logger } from '#lib/telemetry/logger'
import type { Progress } from './offset-tracker.ts'
import { poisonDeaths, suspectAfter, type LaneMemory, type PoisonMemory } from './poison.ts'

/** Of all suspect lanes of a process, one at a time works. */
export interface Turn {
  take(): boolean
  pass(): void
}

export function createTurn(): Turn {
  let taken = false
  return {
    take() {
      if (taken) return false
      taken = true
      return true
    },
    pass() {
      taken = false
    },
  }
}

/** Whether a lane's owners keep dying, and of which record. */
export interface Suspicion {
  /** Asks the memory. A memory that is away is not waited for: then the lane counts as innocent. */
  opened(progress: Progress, logEnd: number): Promise<void>
  isSuspect(): boolean
  takeTurn(): boolean
  passTurn(): void
  /** Notes that the record is about to be handled alone; waits for as long as it cannot be noted. */
  mark(offset: number, signal: AbortSignal): Promise<void>
  /** The record is done with, its commit included, and did no harm; the next suspect lane may go on. */
  clear(offset: number): Promise<void>
  /** SHUNT_POISON for the record that is not to be handled again. */
  refusal(offset: number): ShuntError | null
  /** The lane committed; `low` is what it has still to do. */
  progressed(low: number): void
  /** The lane is given up, and with it the record under way alone, of which nothing is known then. */
  closed(): Promise<void>
}

export interface SuspicionDeps {
  memory: PoisonMemory
  turn: Turn
  log: Pick<Logger, 'warn' | 'error'>
}

/**
 * What is progress? Not any commit: a record that kills a second after it was started would be forgiven each time for
 * what the others beside it got done. The lowest record of the opening must be done; and a suspect lane stays one until
 * everything that may have been running at the last death is done: the offsets up to the highest that a commit had
 * named as started, and `windowRecords` more for those started after that commit. Should the culprit lie further on,
 * two more deaths find it from there.
 */
export function createSuspicion(
  deps: SuspicionDeps,
  options: { lane: string; owner: string; windowRecords: number },
): Suspicion {
  const { memory, turn, log } = deps
  const { lane, owner } = options
  let suspect = false
  let forgivenAt: number | null = null
  let poisoned = new Set<number>()
  let opening: Promise<unknown> | null = null
  let hasTurn = false
  let marked: number | null = null

  /** Failures are told and left: the count that stays too high costs one slow start. */
  async function tell(what: () => Promise<void>): Promise<boolean> {
    try {
      await what()
      return true
    } catch (error) {
      log.warn({ lane, err: error }, 'poison memory unavailable')
      return false
    }
  }

  function passTurn(): void {
    if (hasTurn) turn.pass()
    hasTurn = false
  }

  return {
    async opened(progress, logEnd) {
      let known: LaneMemory = { uncleanEnds: 0, deaths: new Map() }
      opening = tell(async () => {
        known = await memory.opened(lane, owner)
      })
      await opening
      const horizon = Math.min(logEnd, progress.upTo + options.windowRecords)
      suspect = known.uncleanEnds >= suspectAfter && progress.low < horizon
      forgivenAt = known.uncleanEnds === 0 ? null : suspect ? horizon : progress.low + 1
      poisoned = new Set([...known.deaths].flatMap(([offset, deaths]) => (deaths >= poisonDeaths ? [offset] : [])))
      if (suspect)
        log.warn({ lane, uncleanEnds: known.uncleanEnds, until: horizon }, 'lane is suspect: one record at a time')
      if (known.uncleanEnds > 0 && progress.low >= logEnd) this.progressed(logEnd + 1)
    },
    isSuspect: () => suspect,
    takeTurn() {
      if (!turn.take()) return false
      hasTurn = true
      return true
    },
    passTurn,
    async mark(offset, signal) {
      marked = offset
      while (!signal.aborted && !(await tell(() => memory.marked(lane, offset))))
        await sleep(1_000, undefined, { signal }).catch(() => {})
    },
    async clear(offset) {
      marked = null
      await tell(() => memory.cleared(lane, offset))
      passTurn()
    },
    refusal(offset) {
      if (!poisoned.has(offset)) return null
      log.error({ lane, offset }, 'record killed its process each time it was handled alone; it is rejected')
      return new ShuntError(
        'SHUNT_POISON',
        `the process died ${poisonDeaths} times while this record alone was handled`,
      )
    },
    progressed(low) {
      if (forgivenAt === null || low < forgivenAt) return
      forgivenAt = null
      suspect = false
      void tell(() => memory.progressed(lane, low))
    },
    async closed() {
      passTurn()
      // Never opened: then another is its owner yet. Still opening: the close that came first would be undone.
      if (!opening) return
      await opening
      await tell(() => memory.closed(lane, owner, marked))
    },
  }
}
