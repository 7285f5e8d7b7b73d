/**
 * How fast a process starts batch records. Slots alone do not keep room for interactive ones: where the work is the
 * processor's, as in the classifier, a thousand batch records that start in one turn of the event loop also come back
 * from Redis, are decided and are written in one turn each, and an interactive record waits for all of that at every
 * step of its way. So batch records start in small groups, a turn or more apart; and while interactive records come,
 * only as long as the loop has time left. A machine that is short of processors looks like a busy loop, and is one.
 */
export interface BatchPace {
  /** May one more batch record start now? Where not, `resume` is called when it may. */
  mayStart(): boolean
  started(): void
  /** An interactive record has started. */
  besideInteractive(): void
}

export interface BatchPaceDeps {
  nowMs: () => number
  /** For how long the event loop has been busy so far, ms. */
  busyMs: () => number
  /** Calls back in a turn of its own, after `ms` or more. */
  later: (act: () => void, ms: number) => void
  resume: () => void
}

export interface BatchPaceOptions {
  /** Starts in one group. @default 32 */
  groupSize: number
  /** How long after an interactive start the next is expected, ms. @default 2_000 */
  besideMs: number
  /** Beside interactive records a group waits until the loop was busy for no more of the time since the last. @default 0.6 */
  maxBusyShare: number
  /** But no longer than this, so that a batch goes on whatever else there is, ms. @default 50 */
  longestWaitMs: number
}

export const batchPaceDefaults: BatchPaceOptions = {
  groupSize: 32,
  besideMs: 2_000,
  maxBusyShare: 0.6,
  longestWaitMs: 50,
}

const lookEveryMs = 5

export function createBatchPace(deps: BatchPaceDeps, options: BatchPaceOptions = batchPaceDefaults): BatchPace {
  let left = options.groupSize
  let waiting = false
  let groupAtMs = 0
  let busyAtGroupMs = 0
  let interactiveAtMs = -Infinity

  function look(): void {
    const nowMs = deps.nowMs()
    const busyMs = deps.busyMs()
    const passedMs = nowMs - groupAtMs
    const isBusy = busyMs - busyAtGroupMs > options.maxBusyShare * passedMs
    if (isBusy && passedMs < options.longestWaitMs && nowMs - interactiveAtMs < options.besideMs) {
      deps.later(look, lookEveryMs)
      return
    }
    left = options.groupSize
    waiting = false
    groupAtMs = nowMs
    busyAtGroupMs = busyMs
    deps.resume()
  }

  return {
    mayStart() {
      if (left > 0) return true
      if (!waiting) deps.later(look, 0)
      waiting = true
      return false
    },
    started() {
      left -= 1
    },
    besideInteractive() {
      interactiveAtMs = deps.nowMs()
    },
  }
}
