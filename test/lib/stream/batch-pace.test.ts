import { describe, expect, test } from 'vitest'
import { createBatchPace, type BatchPace } from '#lib/stream/batch-pace'
import { createSlots } from '#lib/stream/capacity'

const options = { groupSize: 4, besideMs: 1_000, maxBusyShare: 0.5, longestWaitMs: 50 }

/** A process whose event loop is busy for a share of the time, with endless batch records. */
function rig(busyShare: () => number) {
  let nowMs = 10_000
  let busyMs = 0
  let calls: { act: () => void; atMs: number }[] = []
  const starts: number[] = []
  const pace: BatchPace = createBatchPace(
    {
      nowMs: () => nowMs,
      busyMs: () => busyMs,
      later: (act, ms) => calls.push({ act, atMs: nowMs + ms }),
      resume: startAll,
    },
    options,
  )
  function startAll(): void {
    while (pace.mayStart()) {
      pace.started()
      starts.push(nowMs)
    }
  }
  return {
    pace,
    starts,
    startAll,
    /** Lets time pass; what is due in a turn is called in it. */
    pass(ms: number) {
      for (const endMs = nowMs + ms; nowMs < endMs; nowMs += 1) {
        busyMs += busyShare()
        const due = calls.filter(({ atMs }) => atMs <= nowMs)
        calls = calls.filter(({ atMs }) => atMs > nowMs)
        for (const { act } of due) act()
      }
    },
  }
}

describe('the pace of batch records', () => {
  test('is a group a turn of the event loop while no interactive record comes, however busy the loop', () => {
    const { starts, startAll, pass } = rig(() => 1)
    startAll()
    expect(starts).toHaveLength(4)
    pass(10)
    expect(starts).toHaveLength(4 + 10 * 4)
  })

  test('beside interactive records leaves the loop time, and takes what is idle', () => {
    let share = 1
    const { pace, starts, startAll, pass } = rig(() => share)
    startAll()
    pace.besideInteractive()
    pass(8)
    const before = starts.length
    share = 0.1
    pass(20)
    expect(starts.length).toBeGreaterThan(before)
    share = 0
    pass(20)
    expect(starts.length).toBeGreaterThanOrEqual(before + 20 * 4)
  })

  test('is never none: a group is started every so often, however busy interactive records keep the loop', () => {
    const { pace, starts, startAll, pass } = rig(() => 1)
    startAll()
    for (let i = 0; i < 100; i++) {
      pace.besideInteractive()
      pass(10)
    }
    expect(starts.length).toBeGreaterThanOrEqual((1_000 / (options.longestWaitMs + 5)) * options.groupSize)
    expect(starts.length).toBeLessThanOrEqual((1_000 / options.longestWaitMs + 3) * options.groupSize)
  })

  test('is the full one again some time after the last interactive record', () => {
    const { pace, starts, startAll, pass } = rig(() => 1)
    startAll()
    pace.besideInteractive()
    pass(options.besideMs + 60)
    const before = starts.length
    pass(10)
    expect(starts.length - before).toBe(10 * 4)
  })

  test('holds back batch lanes alone', () => {
    const { pace } = rig(() => 1)
    const slots = createSlots({
      maxInFlight: 100,
      batchSharePpm: () => 250_000,
      interactiveReservePpm: () => 100_000,
      pace,
    })
    const started = { interactive: 0, batch: 0 }
    for (const laneClass of ['batch', 'interactive'] as const)
      slots.add({ laneClass, startNext: () => ++started[laneClass] > 0 })
    slots.pump()
    expect(started).toEqual({ interactive: 96, batch: 4 })
  })
})
