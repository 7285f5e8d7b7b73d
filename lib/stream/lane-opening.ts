import { setTimeout as sleep } from 'node:timers/promises'
import type { Producer } from 'kafkajs'
import { ShuntError } from '#lib/errors'
import { fenceAndRead, type FencedLane, type LaneLog } from './lane-log.ts'
import type { LaneProblem } from './lane-status.ts'
import type { Suspicion } from './suspicion.ts'

export interface LaneOpeningDeps {
  newProducer: () => Producer
  laneLog: LaneLog
  /** Why there is no committed offset. */
  whyMissing: () => Promise<ShuntError>
  /** Resolves at the next sign that the group still counts this member in: true if the lane is still here. */
  stillOwned: () => Promise<boolean>
  suspicion: Pick<Suspicion, 'opened'>
  /** Lets go of the producer before. */
  release: () => Promise<void>
  /** The lane is fenced and read: it goes on from there. */
  opened: (found: FencedLane) => void
  /** `blocked`: somebody must act first. It is tried again all the same. */
  cannotOpen: (problem: LaneProblem, blocked: boolean, error: unknown) => void
}

/** Between checks of a lane that cannot open. */
const blockedPauseMs = 3_000
const firstPauseMs = 50
const lastPauseMs = 2_000

/** Fences, then reads; again and again until that has worked, the lane is closed, or it is another's. Does not reject. */
export async function openLane(
  deps: LaneOpeningDeps,
  at: { topic: string; partition: number },
  closed: AbortSignal,
): Promise<void> {
  for (let pauseMs = firstPauseMs; !closed.aborted; pauseMs = Math.min(pauseMs * 2, lastPauseMs)) {
    try {
      await openOnce(deps, at, closed)
      return
    } catch (error) {
      if (closed.aborted) return
      const blocked = error instanceof ShuntError && !error.retryable
      const code = error instanceof ShuntError ? error.code : null
      const message = error instanceof Error ? error.message : String(error)
      deps.cannotOpen({ code, message }, blocked, error)
      const waitMs = blocked ? blockedPauseMs : pauseMs * (0.5 + Math.random())
      await sleep(waitMs, undefined, { signal: closed }).catch(() => {})
      // Only who still owns the partition may fence: two that fence each other in turn would never end.
      if (closed.aborted || !(await deps.stillOwned())) return
    }
  }
}

async function openOnce(
  deps: LaneOpeningDeps,
  at: { topic: string; partition: number },
  closed: AbortSignal,
): Promise<void> {
  // Looked up before fencing, so that a blocked lane does not disturb whoever is recovering it.
  if (!(await deps.laneLog.committed())) throw await deps.whyMissing()
  await deps.release()
  const found = await fenceAndRead(deps, at)
  // Not once it is closed: nobody would close it again, and the next owner would count a death.
  if (!closed.aborted) await deps.suspicion.opened(found.progress, found.bounds.end)
  if (closed.aborted) await found.fresh.disconnect().catch(() => {})
  else deps.opened(found)
}
