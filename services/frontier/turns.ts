/** One at a time, in the order of asking. */
export interface Turns {
  /** Resolves when it is the caller's turn, which ends with its disposal. Rejects with the signal's reason. */
  take(signal: AbortSignal): Promise<Disposable>
}

export function createTurns(): Turns {
  const waiting: (() => void)[] = []
  let taken = false
  const turn: Disposable = {
    [Symbol.dispose]() {
      const next = waiting.shift()
      if (next) next()
      else taken = false
    },
  }
  return {
    take: (signal) =>
      new Promise((resolve, reject) => {
        signal.throwIfAborted()
        if (!taken) {
          taken = true
          return resolve(turn)
        }
        const start = () => {
          signal.removeEventListener('abort', giveUp)
          resolve(turn)
        }
        const giveUp = () => {
          waiting.splice(waiting.indexOf(start), 1)
          reject(signal.reason as Error)
        }
        signal.addEventListener('abort', giveUp, { once: true })
        waiting.push(start)
      }),
  }
}
