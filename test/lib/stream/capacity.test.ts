import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createByteBudget, createSlots, reservedSlots, type LaneClass, type Slots } from '#lib/stream/capacity'

/** A lane with so many records to start. */
function user(laneClass: LaneClass, records: number) {
  const lane = {
    laneClass,
    waiting: records,
    started: 0,
    startNext() {
      if (lane.waiting === 0) return false
      lane.waiting -= 1
      lane.started += 1
      return true
    },
  }
  return lane
}

function slotsOf(maxInFlight: number, sharePpm = 250_000, reservePpm = 0): Slots {
  return createSlots({ maxInFlight, batchSharePpm: () => sharePpm, interactiveReservePpm: () => reservePpm })
}

describe('slots', () => {
  test('interactive lanes go first, beside the share of the batch lanes', () => {
    const slots = slotsOf(8)
    const interactive = user('interactive', 100)
    const batch = user('batch', 100)
    slots.add(batch)
    slots.add(interactive)
    slots.pump()
    expect([interactive.started, batch.started]).toEqual([6, 2])
  })

  test('whoever has work uses what is idle', () => {
    const slots = slotsOf(8)
    const batch = user('batch', 100)
    slots.add(batch)
    slots.add(user('interactive', 0))
    slots.pump()
    expect(batch.started).toBe(8)
  })

  test('batch lanes leave the reserve free, so that what someone waits for starts at once', () => {
    const slots = slotsOf(8, 250_000, 250_000)
    const interactive = user('interactive', 0)
    const batch = user('batch', 100)
    slots.add(batch)
    slots.add(interactive)
    slots.pump()
    expect(batch.started).toBe(6)
    interactive.waiting = 3
    slots.pump()
    expect([interactive.started, batch.started]).toEqual([2, 6])
    slots.release('batch')
    expect([interactive.started, batch.started]).toEqual([3, 6])
  })

  test.each([
    [0, 100_000, 0],
    [1, 900_000, 0],
    [2, 100_000, 1],
    [4, 100_000, 1],
    [256, 100_000, 26],
    [3, 1_000_000, 2],
    [10, 0, 0],
  ])('of %i slots with a reserve of %i ppm, batch work never takes %i', (all, reservePpm, kept) => {
    expect(reservedSlots(all, reservePpm)).toBe(kept)
  })

  test.each([1, 2, 3, 7])(
    'with %i slots the batch lanes get their share of starts, and no more, while both have work',
    (max) => {
      const slots = slotsOf(max)
      const interactive = user('interactive', 10_000)
      const batch = user('batch', 10_000)
      slots.add(interactive)
      slots.add(batch)
      slots.pump()
      // Every record takes as long as every other: the one that started first ends first.
      const running: LaneClass[] = [
        ...Array.from({ length: interactive.started }, () => 'interactive' as const),
        ...Array.from({ length: batch.started }, () => 'batch' as const),
      ]
      for (let turn = 0; turn < 2_000; turn++) {
        const before = interactive.started
        slots.release(running.shift() ?? 'batch')
        running.push(interactive.started > before ? 'interactive' : 'batch')
      }
      expect(batch.started / (batch.started + interactive.started)).toBeCloseTo(0.25, 1)
    },
  )

  test('lanes of one class take turns', () => {
    const slots = slotsOf(6)
    const lanes = [user('interactive', 100), user('interactive', 100), user('interactive', 100)]
    for (const lane of lanes) slots.add(lane)
    slots.pump()
    expect(lanes.map((lane) => lane.started)).toEqual([2, 2, 2])
  })

  test('never more at once than allowed, never idle while there is work, and neither class starves', () => {
    const scene = fc.record({
      max: fc.integer({ min: 1, max: 12 }),
      sharePpm: fc.integer({ min: 0, max: 1_000_000 }),
      reservePpm: fc.integer({ min: 0, max: 1_000_000 }),
      ends: fc.array(fc.nat(), { minLength: 400, maxLength: 400 }),
    })
    fc.assert(
      fc.property(scene, ({ max, sharePpm, reservePpm, ends }) => {
        const slots = slotsOf(max, sharePpm, reservePpm)
        const running: LaneClass[] = []
        const endless = (laneClass: LaneClass) => ({ laneClass, startNext: () => running.push(laneClass) > 0 })
        slots.add(endless('interactive'))
        slots.add(endless('batch'))
        slots.pump()
        let batchStarts = 0
        for (const end of ends) {
          expect(running).toHaveLength(max)
          const [ended] = running.splice(end % running.length, 1)
          slots.release(ended ?? 'batch')
          if (running.at(-1) === 'batch') batchStarts += 1
          const batch = running.filter((laneClass) => laneClass === 'batch').length
          expect(batch).toBeLessThanOrEqual(max - reservedSlots(max, reservePpm))
        }
        expect(batchStarts).toBeGreaterThan(0)
        expect(batchStarts < ends.length || sharePpm >= 900_000).toBe(true)
      }),
      { numRuns: 100 },
    )
  })
})

describe('byte budget', () => {
  function budgetOf(maxBytes: number) {
    let changes = 0
    const budget = createByteBudget({ onChange: () => (changes += 1) }, { maxBytes })
    const fetching = () => [budget.mayFetch('interactive'), budget.mayFetch('batch')]
    return { budget, fetching, changes: () => changes }
  }

  test('stops fetching at the budget and goes on at half', () => {
    const { budget, fetching, changes } = budgetOf(100)
    budget.add('interactive', 90)
    expect(fetching()).toEqual([true, true])
    budget.add('interactive', 20)
    expect(fetching()).toEqual([false, true])
    budget.remove('interactive', 55)
    expect(fetching()).toEqual([false, true])
    budget.remove('interactive', 5)
    expect(fetching()).toEqual([true, true])
    expect([budget.held(), changes()]).toEqual([50, 2])
  })

  test('batch lanes stop at half of it, and go on at a quarter', () => {
    const { budget, fetching } = budgetOf(100)
    budget.add('batch', 50)
    expect(fetching()).toEqual([true, false])
    budget.remove('batch', 24)
    expect(fetching()).toEqual([true, false])
    budget.remove('batch', 1)
    expect(fetching()).toEqual([true, true])
  })

  test('neither class keeps the other from fetching, however much it holds', () => {
    const { budget, fetching } = budgetOf(100)
    budget.add('batch', 1_000)
    budget.add('interactive', 49)
    expect(fetching()).toEqual([true, false])
    budget.add('interactive', 1)
    expect(fetching()).toEqual([false, false])
    budget.remove('interactive', 25)
    expect(fetching()).toEqual([true, false])
    budget.remove('batch', 1_000)
    budget.add('interactive', 1_000)
    budget.add('batch', 24)
    expect(fetching()).toEqual([false, true])
    budget.add('batch', 1)
    expect(fetching()).toEqual([false, false])
  })

  test('one record above the whole budget passes', () => {
    const { budget, fetching } = budgetOf(100)
    budget.add('batch', 20_000)
    budget.remove('batch', 20_000)
    expect(fetching()).toEqual([true, true])
  })
})
