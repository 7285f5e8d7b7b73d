/** What a provider counts of one request. */
export interface Counted {
  requests: number
  inputTokens: number
  outputTokens: number
}

/** A request in the window; its amounts are corrected through `correct`. */
interface Entry extends Counted {
  atMs: number
  gone: boolean
}

/** A provider's own count: every request from its arrival for one window, at each moment. */
export interface SlidingWindow {
  /** Requests must come in the order of their arrival. Returns how to correct what this one counts. */
  add(atMs: number, counted: Counted): (inputTokens: number, outputTokens: number) => void
  usedAt(nowMs: number): Counted
  /** Until the oldest request leaves, ms; 0 for an empty window. */
  nextLeavesInMs(nowMs: number): number
}

export function createSlidingWindow(windowMs: number): SlidingWindow {
  const entries: Entry[] = []
  let first = 0
  const used: Counted = { requests: 0, inputTokens: 0, outputTokens: 0 }

  function count(entry: Counted, sign: 1 | -1): void {
    used.requests += sign * entry.requests
    used.inputTokens += sign * entry.inputTokens
    used.outputTokens += sign * entry.outputTokens
  }
  function expire(nowMs: number): void {
    for (let oldest = entries[first]; oldest && oldest.atMs <= nowMs - windowMs; oldest = entries[++first]) {
      oldest.gone = true
      count(oldest, -1)
    }
    if (first > 1_024 && first * 2 > entries.length) {
      entries.splice(0, first)
      first = 0
    }
  }

  return {
    add(atMs, counted) {
      expire(atMs)
      const entry: Entry = { ...counted, atMs, gone: false }
      entries.push(entry)
      count(entry, 1)
      return (inputTokens, outputTokens) => {
        if (entry.gone) return
        count(entry, -1)
        Object.assign(entry, { inputTokens, outputTokens })
        count(entry, 1)
      }
    },
    usedAt(nowMs) {
      expire(nowMs)
      return { ...used }
    },
    nextLeavesInMs(nowMs) {
      expire(nowMs)
      const oldest = entries[first]
      return oldest === undefined ? 0 : Math.max(0, oldest.atMs + windowMs - nowMs)
    },
  }
}
