import type { ErrorCode } from '#lib/errors'
import type { LaneClass } from './capacity.ts'

/** Why a lane is not open. */
export interface LaneProblem {
  code: ErrorCode | null
  message: string
}

/**
 * - `opening`: fences the owner before and reads what is committed; also after a failed transaction.
 * - `blocked`: cannot open until somebody acts; `code` says why. It checks again every few seconds.
 * - `closed`: taken away, or drained.
 */
export type LaneState = 'opening' | 'open' | 'blocked' | 'closed'

export interface LaneStatus {
  topic: string
  partition: number
  laneClass: LaneClass
  state: LaneState
  /** Why it is blocked or opens anew. */
  code: ErrorCode | null
  /** Of the last failure of the lane, or of a record that is being tried again; holds no prompt text. */
  message: string | null
  /** Next offset to be fetched; null before the first opening. */
  position: number | null
  /** Lowest offset that is not done; null before the first opening. */
  low: number | null
  /** Records that wait to be handled. */
  waiting: number
  /** Records being handled. */
  inFlight: number
  /** Records that failed and wait for another try. */
  retrying: number
  /** Records handled and not yet committed. */
  finished: number
  /** Age of the oldest record being handled, ms; 0 when there is none. */
  oldestInFlightMs: number
  /** Its records are handled one at a time, because the lane's owners kept dying. */
  suspect: boolean
}
