import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import type { CallUsage, ProviderLimits, ReserveAnswer } from '#lib/ledger/provider-limits'
import { createCallGate, type Admission } from '../../../services/frontier/call-gate.ts'

const size = { inputTokens: 10, outputTokens: 5 }
const window = { windowMs: 60_000, guardMs: 1_000, requests: 10 }
const granted = (id = 'r'): ReserveAnswer => ({
  kind: 'reserved',
  id,
  size,
  reservedAtMs: 0,
  used: { requests: 1, inputTokens: 10, outputTokens: 5 },
})
const wait = (waitMs: number): ReserveAnswer => ({ kind: 'wait', waitMs, waitsFor: 'requests' })
const never = new AbortController().signal

function harness(
  answers: ReserveAnswer[],
  change: { maxInFlight?: number; batchSharePpm?: number; window?: null; pausedMs?: number; isGuest?: true } = {},
) {
  const settled: CallUsage[] = []
  const waits: string[] = []
  let nowMs = 0
  const reserve = vi.fn<ProviderLimits['reserve']>(() => Promise.resolve(answers.shift() ?? granted()))
  const limits: ProviderLimits = {
    initialise: () => Promise.resolve(true),
    reserve,
    settle: (_queue, _window, _reservation, usage) => {
      settled.push(usage)
      return Promise.resolve()
    },
    pause: () => Promise.resolve(),
    pausedMs: () => Promise.resolve(change.pausedMs ?? 0),
  }
  const gate = createCallGate(
    {
      limits,
      batchSharePpm: () => change.batchSharePpm ?? 200_000,
      interactiveReservePpm: () => 0,
      isGuest: change.isGuest ?? false,
      onWait: (laneClass, waitsFor) => waits.push(`${laneClass} ${waitsFor}`),
      log: { warn: () => {} },
      monotonicMs: () => nowMs,
    },
    {
      queue: 'p~m',
      maxInFlight: change.maxInFlight ?? 4,
      window: change.window === null ? null : window,
      headroomPpm: 30_000,
    },
  )
  return { gate, settled, waits, reserve, passMs: (ms: number) => (nowMs += ms) }
}

/** What is known of a promise so far. */
function watch(entry: Promise<Admission | null>) {
  const state = { admission: undefined as Admission | null | undefined }
  void entry.then((admission) => (state.admission = admission))
  return state
}

const leave = (admission: Admission | null | undefined) =>
  admission?.leave({ used: { inputTokens: 1, outputTokens: 1 } })

test('a call that is refused asks again, is told of once, and goes on', async () => {
  const { gate, waits, reserve } = harness([wait(5), wait(5)])
  const admission = await gate.enter(size, 'interactive', never)
  expect(admission?.inTime()).toBe(true)
  expect(reserve).toHaveBeenCalledTimes(3)
  expect(waits).toEqual(['interactive requests'])
})

test('what a call gives back wakes those that wait', async () => {
  const { gate } = harness([granted(), wait(60_000)])
  const first = await gate.enter(size, 'interactive', never)
  const second = watch(gate.enter(size, 'interactive', never))
  await sleep(20)
  expect(second.admission).toBeUndefined()
  await leave(first)
  await vi.waitFor(() => expect(second.admission).toBeDefined(), { timeout: 150, interval: 5 })
})

test('only the first of a class asks, and batch does not hold interactive up', async () => {
  const { gate, reserve } = harness([wait(60_000)])
  const batch = [1, 2, 3].map(() => watch(gate.enter(size, 'batch', never)))
  await sleep(10)
  expect(reserve).toHaveBeenCalledTimes(1)
  expect(await gate.enter(size, 'interactive', never)).not.toBeNull()
  expect(batch.every(({ admission }) => admission === undefined)).toBe(true)
})

test("a guest's interactive calls ask as batch calls do, so that those of the limits' owner come first", async () => {
  const asked = async (change: { isGuest?: true }) => {
    const { gate, reserve, settled } = harness([], change)
    await leave(await gate.enter(size, 'interactive', never))
    return [reserve.mock.lastCall?.[3], settled[0]?.batch]
  }
  const share = { headroomPpm: 30_000, sharePpm: 200_000 }
  expect(await asked({ isGuest: true })).toEqual([share, share])
  expect(await asked({})).toEqual([null, null])
})

test('a job that waits for the limits holds no slot', async () => {
  const { gate } = harness([wait(60_000)], { maxInFlight: 1 })
  void gate.enter(size, 'batch', never)
  await sleep(10)
  expect(await gate.enter(size, 'interactive', never)).not.toBeNull()
})

test('no more calls than slots, and a slot that comes free goes on', async () => {
  const { gate } = harness([], { maxInFlight: 2 })
  const entries = [1, 2, 3].map(() => watch(gate.enter(size, 'interactive', never)))
  await sleep(10)
  expect(entries.map(({ admission }) => admission !== undefined)).toEqual([true, true, false])
  await leave(entries[0]?.admission)
  await vi.waitFor(() => expect(entries[2]?.admission).toBeDefined())
})

test('batch has its share of the slots beside interactive calls that would take all', async () => {
  const { gate } = harness([], { maxInFlight: 4, batchSharePpm: 250_000 })
  const interactive = Array.from({ length: 8 }, () => watch(gate.enter(size, 'interactive', never)))
  const batch = Array.from({ length: 4 }, () => watch(gate.enter(size, 'batch', never)))
  await sleep(10)
  // Slots that come free one by one.
  for (let freed = 0; freed < 4; freed++) {
    const [next] = interactive.filter(({ admission }) => admission).slice(freed)
    await leave(next?.admission)
    await sleep(5)
  }
  expect(batch.filter(({ admission }) => admission)).not.toHaveLength(0)
})

test('a reservation that has grown old is not in time', async () => {
  const { gate, passMs } = harness([])
  const admission = await gate.enter(size, 'interactive', never)
  passMs(500)
  expect(admission?.inTime()).toBe(true)
  passMs(1)
  expect(admission?.inTime()).toBe(false)
})

test('a call that no window bears is refused for good', async () => {
  const { gate } = harness([{ kind: 'never', waitsFor: 'tokens' }])
  expect(await gate.enter(size, 'interactive', never)).toBeNull()
})

describe('a job that waits no longer', () => {
  test.each(['for the limits', 'for its turn', 'for a slot'])('leaves the others unharmed: %s', async (what) => {
    const { gate } = harness(what === 'for a slot' ? [] : [wait(20), wait(20)], { maxInFlight: 1 })
    const first = watch(gate.enter(size, 'interactive', never))
    const stop = new AbortController()
    const second = gate.enter(size, what === 'for the limits' ? 'batch' : 'interactive', stop.signal)
    const third = watch(gate.enter(size, 'interactive', never))
    await sleep(5)
    stop.abort(new Error('closing'))
    await expect(second).rejects.toThrow('closing')
    await vi.waitFor(() => expect(first.admission).toBeDefined())
    await leave(first.admission)
    await vi.waitFor(() => expect(third.admission).toBeDefined())
  })
})

test('without limits only a pause that the provider asked for holds calls up', async () => {
  const free = harness([], { window: null })
  const admission = await free.gate.enter(size, 'batch', never)
  await leave(admission)
  expect(free.reserve).not.toHaveBeenCalled()
  expect(free.settled).toEqual([])
  const paused = harness([], { window: null, pausedMs: 60_000 })
  const entry = watch(paused.gate.enter(size, 'batch', never))
  await sleep(20)
  expect(entry.admission).toBeUndefined()
  expect(paused.waits).toEqual(['batch pause'])
})
