/**
 * Lets one lane of several commit at a time. Why, when each lane has a producer of its own? An open transaction hides
 * what others write after it in the same partitions until it ends, and several at once make each other take longer.
 */
export interface CommitTurns {
  /** Takes the turn. Where another has it: false, and `again` is called when it is free. */
  take(again: () => void): boolean
  pass(): void
}

export function createCommitTurns(): CommitTurns {
  const waiting = new Set<() => void>()
  let taken = false
  return {
    take(again) {
      if (taken) {
        waiting.add(again)
        return false
      }
      taken = true
      return true
    },
    pass() {
      taken = false
      // One that has nothing to commit any more leaves the turn to the next.
      for (const again of waiting) {
        waiting.delete(again)
        again()
        if (taken) return
      }
    },
  }
}
