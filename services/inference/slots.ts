export interface SlotsOptions {
  /** Requests that may wait for a slot; one more is refused. */
  maxWaiting: number
}

export interface Lease<S> {
  slot: S
  /** Once; later calls do nothing. */
  release(): void
}

export interface Slots<S> {
  /**
   * The free slot with the best affinity, or a place in the queue (first come, first served); undefined when the queue
   * is full. Rejects with the signal's reason when that ends the wait.
   */
  acquire(affinity: (slot: S) => number, signal: AbortSignal): Promise<Lease<S> | undefined>
  counts(): { slots: number; busy: number; waiting: number }
  /** Seconds until a place in the queue is likely free: how long the leases lasted lately, over the slots. */
  retryAfterSeconds(): number
}

/** Weight of the last lease in the mean: about ten leases are remembered. */
const MEAN_WEIGHT = 0.2

/** Bounded sharing of the model's sequences. Among equals the slot that was used longest ago is given. */
export function createSlots<S>(deps: { nowMs: () => number }, all: readonly S[], options: SlotsOptions): Slots<S> {
  /** Oldest use first. */
  const free = [...all]
  const waiting: { grant: (lease: Lease<S>) => void }[] = []
  let meanLeaseMs = 1_000

  function lease(slot: S): Lease<S> {
    const startedAtMs = deps.nowMs()
    let released = false
    return {
      slot,
      release: () => {
        if (released) return
        released = true
        meanLeaseMs += MEAN_WEIGHT * (deps.nowMs() - startedAtMs - meanLeaseMs)
        const next = waiting.shift()
        if (next) next.grant(lease(slot))
        else free.push(slot)
      },
    }
  }

  function takeBest(affinity: (slot: S) => number): S | undefined {
    const values = free.map((slot) => affinity(slot))
    const [best] = free.splice(values.indexOf(Math.max(...values)), 1)
    return best
  }

  function wait(signal: AbortSignal): Promise<Lease<S>> {
    return new Promise((resolve, reject) => {
      const waiter = {
        grant: (granted: Lease<S>) => {
          signal.removeEventListener('abort', leave)
          resolve(granted)
        },
      }
      function leave(): void {
        waiting.splice(waiting.indexOf(waiter), 1)
        reject(signal.reason as Error)
      }
      signal.addEventListener('abort', leave, { once: true })
      waiting.push(waiter)
    })
  }

  return {
    acquire: async (affinity, signal) => {
      signal.throwIfAborted()
      const slot = free.length === 0 ? undefined : takeBest(affinity)
      if (slot !== undefined) return lease(slot)
      return waiting.length < options.maxWaiting ? wait(signal) : undefined
    },
    counts: () => ({ slots: all.length, busy: all.length - free.length, waiting: waiting.length }),
    retryAfterSeconds: () => Math.max(1, Math.ceil(meanLeaseMs / 1_000 / all.length)),
  }
}
