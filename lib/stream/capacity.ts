import type { BatchPace } from './batch-pace.ts'

/** Whether someone waits for the record: interactive lanes go before batch lanes. */
export type LaneClass = 'interactive' | 'batch'

/** A lane as the slots see it. */
export interface SlotUser {
  laneClass: LaneClass
  /** Starts one record and returns true, or returns false where it has none that may start now. */
  startNext(): boolean
}

/**
 * Shares the work slots of a process among its lanes. Interactive lanes go first; batch lanes have at least their share
 * while they have work. Work under way is never taken back, so batch lanes leave a reserve free, whatever they have to
 * do; of the rest, whoever has work uses what is idle.
 */
export interface Slots {
  add(user: SlotUser): void
  remove(user: SlotUser): void
  /** Starts what can start. Call when work arrived or something that held it back is gone. */
  pump(): void
  /** A record that `startNext` started is no longer being worked on. */
  release(laneClass: LaneClass): void
  inFlight(): number
}

const million = 1_000_000

/** Of so many slots, those that batch work never takes: the reserve rounded up, but never the only slot. */
export function reservedSlots(slots: number, reservePpm: number): number {
  return Math.min(Math.max(0, slots - 1), Math.ceil((slots * reservePpm) / million))
}

export interface SlotOptions {
  maxInFlight: number
  /** Asked anew at each start, since the policy may change; counts as 1 % at least. */
  batchSharePpm: () => number
  /** Asked anew likewise. Where it leaves less than the batch lanes' share, it goes before. */
  interactiveReservePpm: () => number
  /** @default none: as many at once as there are slots */
  pace?: BatchPace
}

export function createSlots(options: SlotOptions): Slots {
  const users: Record<LaneClass, SlotUser[]> = { interactive: [], batch: [] }
  const next: Record<LaneClass, number> = { interactive: 0, batch: 0 }
  const inFlight: Record<LaneClass, number> = { interactive: 0, batch: 0 }
  // What the batch lanes are owed of the slots that do not divide evenly, in parts per million of a start.
  let owedPpm = 0
  let pumping = false

  function start(laneClass: LaneClass): boolean {
    const candidates = users[laneClass]
    for (let tried = 0; tried < candidates.length; tried++) {
      const at = (next[laneClass] + tried) % candidates.length
      const user = candidates[at]
      // Counted before: a record may end at once.
      inFlight[laneClass] += 1
      if (user?.startNext()) {
        if (laneClass === 'batch') options.pace?.started()
        else options.pace?.besideInteractive()
        next[laneClass] = at + 1
        return true
      }
      inFlight[laneClass] -= 1
    }
    return false
  }

  /** One start. Whole slots of the share are the batch lanes' own; of the rest they get their turn by starts. */
  function startOne(): boolean {
    const { maxInFlight } = options
    const forBatch = maxInFlight - reservedSlots(maxInFlight, options.interactiveReservePpm())
    if (inFlight.batch >= forBatch || options.pace?.mayStart() === false) return start('interactive')
    const sharePpm = Math.min(million, Math.max(10_000, options.batchSharePpm()))
    const ownSlots = Math.floor((maxInFlight * sharePpm) / million)
    if (inFlight.batch < ownSlots) return start('batch') || start('interactive')
    const restPpm = maxInFlight * sharePpm - ownSlots * million
    const restSlots = maxInFlight - ownSlots
    const turnPpm = restSlots > 0 ? restPpm / restSlots : 0
    if (owedPpm + turnPpm >= million && start('batch')) {
      owedPpm += turnPpm - million
      return true
    }
    if (start('interactive')) {
      owedPpm = Math.min(million, owedPpm + turnPpm)
      return true
    }
    return start('batch')
  }

  function pump(): void {
    // A record that ends at once, or makes room, would call back into the loop that started it.
    if (pumping) return
    pumping = true
    try {
      while (inFlight.interactive + inFlight.batch < options.maxInFlight && startOne());
    } finally {
      pumping = false
    }
  }

  return {
    add: (user) => void users[user.laneClass].push(user),
    remove(user) {
      users[user.laneClass] = users[user.laneClass].filter((other) => other !== user)
    },
    pump,
    release(laneClass) {
      inFlight[laneClass] -= 1
      pump()
    },
    inFlight: () => inFlight.interactive + inFlight.batch,
  }
}

/**
 * Bytes that the lanes of a process hold: records from their arrival, outputs until they are committed. Fetching of a
 * class stops where all lanes together hold more than its limit, and goes on at half of it; but not while the class itself
 * holds less than its own part, so that neither class keeps the other from fetching. The limit is the whole budget for
 * interactive lanes and half of it for batch lanes, the own part half of that. What is held is always worked on, so a
 * record larger than the whole budget passes too.
 */
export interface ByteBudget {
  add(laneClass: LaneClass, bytes: number): void
  remove(laneClass: LaneClass, bytes: number): void
  mayFetch(laneClass: LaneClass): boolean
  held(): number
}

/** `onChange` is called after the answer of `mayFetch` changed for a class. */
export function createByteBudget(deps: { onChange: () => void }, options: { maxBytes: number }): ByteBudget {
  const limit: Record<LaneClass, number> = { interactive: options.maxBytes, batch: options.maxBytes / 2 }
  const open: Record<LaneClass, boolean> = { interactive: true, batch: true }
  const held: Record<LaneClass, number> = { interactive: 0, batch: 0 }
  const total = () => held.interactive + held.batch

  function isOpen(laneClass: LaneClass): boolean {
    const most = limit[laneClass]
    const own = most / 2
    if (open[laneClass]) return total() < most || held[laneClass] < own
    return total() <= most / 2 || held[laneClass] <= own / 2
  }

  function change(changing: LaneClass, bytes: number): void {
    held[changing] += bytes
    const interactive = isOpen('interactive')
    const batch = isOpen('batch')
    if (interactive === open.interactive && batch === open.batch) return
    Object.assign(open, { interactive, batch })
    deps.onChange()
  }

  return {
    add: change,
    remove: (laneClass, bytes) => change(laneClass, -bytes),
    mayFetch: (laneClass) => open[laneClass],
    held: total,
  }
}
