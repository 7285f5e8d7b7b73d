import { describe, expect, test } from 'vitest'
import { createSlots } from '../../../services/inference/slots.ts'

const never = new AbortController().signal
const none = (): number => 0

function slotsOf(names: string[], maxWaiting = 2) {
  let nowMs = 0
  const slots = createSlots({ nowMs: () => nowMs }, names, { maxWaiting })
  return { slots, pass: (ms: number) => (nowMs += ms) }
}

describe('createSlots', () => {
  test('gives the free slot with the best affinity', async () => {
    const { slots } = slotsOf(['a', 'b', 'c'])
    const lease = await slots.acquire((slot) => (slot === 'b' ? 10 : 1), never)
    expect(lease?.slot).toBe('b')
  })

  test('gives the one used longest ago among equals', async () => {
    const { slots } = slotsOf(['a', 'b'])
    const a = await slots.acquire(none, never)
    a?.release()
    const next = await slots.acquire(none, never)
    expect([a?.slot, next?.slot]).toEqual(['a', 'b'])
  })

  test('hands a released slot to waiters in the order in which they came', async () => {
    const { slots } = slotsOf(['a'])
    const order: number[] = []
    const first = await slots.acquire(none, never)
    const waiters = [1, 2].map(async (n) => {
      const lease = await slots.acquire(none, never)
      order.push(n)
      lease?.release()
    })
    expect(slots.counts()).toEqual({ slots: 1, busy: 1, waiting: 2 })
    first?.release()
    await Promise.all(waiters)
    expect(order).toEqual([1, 2])
    expect(slots.counts()).toEqual({ slots: 1, busy: 0, waiting: 0 })
  })

  test('refuses when the queue is full', async () => {
    const { slots } = slotsOf(['a'], 0)
    await slots.acquire(none, never)
    expect(await slots.acquire(none, never)).toBeUndefined()
  })

  test('a waiter that is aborted leaves the queue', async () => {
    const { slots } = slotsOf(['a'])
    const lease = await slots.acquire(none, never)
    const left = new AbortController()
    const waiting = slots.acquire(none, left.signal)
    left.abort(new Error('gone'))
    await expect(waiting).rejects.toThrow('gone')
    expect(slots.counts().waiting).toBe(0)
    lease?.release()
    expect(slots.counts().busy).toBe(0)
  })

  test('releasing twice frees one slot once', async () => {
    const { slots } = slotsOf(['a'])
    const lease = await slots.acquire(none, never)
    lease?.release()
    lease?.release()
    await slots.acquire(none, never)
    expect(slots.counts().busy).toBe(1)
  })

  test('tells a longer wait after longer leases', async () => {
    const { slots, pass } = slotsOf(['a'])
    for (let n = 0; n < 20; n++) {
      const lease = await slots.acquire(none, never)
      pass(8_000)
      lease?.release()
    }
    expect(slots.retryAfterSeconds()).toBe(8)
  })
})
