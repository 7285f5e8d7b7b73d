/** Resolves when the caller may go on: so many callers in one turn of the event loop, in the order of their coming. */
export type NextTurn = () => Promise<void>

/**
 * Spreads work over turns of the event loop. Why? Calls that began together end together, and what is done with two
 * hundred answers in one turn, verification, encoding, takes tens of milliseconds in which the process does nothing for
 * anyone who waits.
 */
export function createTurns(perTurn: number, later: (act: () => void) => void = setImmediate): NextTurn {
  let waiting: (() => void)[] = []
  let left = perTurn
  let scheduled = false

  function turn(): void {
    left = perTurn
    const going = waiting.slice(0, perTurn)
    waiting = waiting.slice(going.length)
    left -= going.length
    scheduled = going.length > 0
    if (scheduled) later(turn)
    for (const go of going) go()
  }

  return () => {
    if (!scheduled) later(turn)
    scheduled = true
    if (left > 0 && waiting.length === 0) {
      left -= 1
      return Promise.resolve()
    }
    return new Promise((resolve) => void waiting.push(resolve))
  }
}
