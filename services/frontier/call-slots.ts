import { createSlots, type LaneClass, type SlotOptions, type SlotUser } from '#lib/stream/capacity'

/** The calls that may be in flight of one model at one provider, shared between interactive and batch as lanes share. */
export interface CallSlots {
  /** Rejects with the signal's reason where that comes first. */
  acquire(laneClass: LaneClass, signal: AbortSignal): Promise<void>
  release(laneClass: LaneClass): void
  setMaxInFlight(maxInFlight: number): void
}

export function createCallSlots(options: Omit<SlotOptions, 'pace'>): CallSlots {
  const shared = { ...options }
  const slots = createSlots(shared)
  const waiting: Record<LaneClass, (() => void)[]> = { interactive: [], batch: [] }
  for (const laneClass of ['interactive', 'batch'] as const) {
    const user: SlotUser = {
      laneClass,
      startNext() {
        const start = waiting[laneClass].shift()
        start?.()
        return start !== undefined
      },
    }
    slots.add(user)
  }

  return {
    acquire: (laneClass, signal) =>
      new Promise((resolve, reject) => {
        signal.throwIfAborted()
        const start = () => {
          signal.removeEventListener('abort', giveUp)
          resolve()
        }
        const giveUp = () => {
          waiting[laneClass] = waiting[laneClass].filter((other) => other !== start)
          reject(signal.reason as Error)
        }
        signal.addEventListener('abort', giveUp, { once: true })
        waiting[laneClass].push(start)
        slots.pump()
      }),
    release: (laneClass) => slots.release(laneClass),
    setMaxInFlight(maxInFlight) {
      shared.maxInFlight = maxInFlight
      slots.pump()
    },
  }
}
