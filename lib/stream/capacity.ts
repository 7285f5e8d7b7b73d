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
 * while they have work; whoever has work uses what is idle. Work under way is never taken back: an interactive record
 * then waits for the first slot to come free.
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

/** `batchSharePpm` is asked anew at each start, since the policy may change; it counts as 1 % at least. */
export function createSlots(options: { maxInFlight: number; batchSharePpm: () => number }): Slots {
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
        next[laneClass] = at + 1
        return true
      }
      inFlight[laneClass] -= 1
    }
    return false
  }

  /** One start. Whole slots of the share are the batch lanes' own; of the rest they get their turn by starts. */
  function startOne(): boolean {
    const sharePpm = Math.min(million, Math.max(10_000, options.batchSharePpm()))
    const ownSlots = Math.floor((options.maxInFlight * sharePpm) / million)
    if (inFlight.batch < ownSlots) return start('batch') || start('interactive')
    const restPpm = options.maxInFlight * sharePpm - ownSlots * million
    const restSlots = options.maxInFlight - ownSlots
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
 * Bytes that the lanes of a process hold: records from their arrival, outputs until they are committed. Fetching stops
 * above the budget and goes on at half of it. Batch lanes stop at half and go on at a quarter, so that a backlog of
 * theirs leaves room for what someone waits for. What is held is always worked on, so a record larger than the whole
 * budget passes too.
 */
export interface ByteBudget {
  add(bytes: number): void
  remove(bytes: number): void
  mayFetch(laneClass: LaneClass): boolean
  held(): number
}

/** `onChange` is called after the answer of `mayFetch` changed for a class. */
export function createByteBudget(deps: { onChange: () => void }, options: { maxBytes: number }): ByteBudget {
  const limit: Record<LaneClass, number> = { interactive: options.maxBytes, batch: options.maxBytes / 2 }
  const open: Record<LaneClass, boolean> = { interactive: true, batch: true }
  let held = 0

  function update(): void {
    let changed = false
    for (const laneClass of ['interactive', 'batch'] as const) {
      const now = open[laneClass] ? held < limit[laneClass] : held <= limit[laneClass] / 2
      changed ||= now !== open[laneClass]
      open[laneClass] = now
    }
    if (changed) deps.onChange()
  }

  return {
    add(bytes) {
      held += bytes
      update()
    },
    remove(bytes) {
      held -= bytes
      update()
    },
    mayFetch: (laneClass) => open[laneClass],
    held: () => held,
  }
}
