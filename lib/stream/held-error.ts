import { ShuntError, type ErrorCode } from '#lib/errors'

/** Calls back, once at most, when it is worth handling the record again. Returns what stops that. */
export type Hold = (again: () => void) => () => void

/**
 * Thrown by a handler whose record has to wait for something that is no fault: it gives its slot back, keeps its place in
 * the lane, and is handled again when `hold` says so. The lane's limits count it all the while.
 */
export class HeldError extends ShuntError {
  readonly hold: Hold
  constructor(code: ErrorCode, message: string, hold: Hold) {
    super(code, message, { retryable: true })
    this.name = 'HeldError'
    this.hold = hold
  }
}

/** For a wait that only time ends, ms. */
export function holdFor(ms: number): Hold {
  return (again) => {
    const timer = setTimeout(again, Math.max(0, Math.min(ms, longestTimerMs)))
    return () => clearTimeout(timer)
  }
}

/** setTimeout takes no more, 24 days. */
const longestTimerMs = 2 ** 31 - 1
