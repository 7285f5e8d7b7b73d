import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createFairQueue, type FairQueue } from '#lib/stream/fair-queue'

interface Item {
  key: string
  at: number
}

const queue = () =>
  createFairQueue<Item>(
    ({ key }) => key,
    (a, b) => a.at - b.at,
  )

function takeAll(from: FairQueue<Item>): string[] {
  const taken: string[] = []
  for (let item = from.next(); item; item = from.next()) {
    from.take(item)
    taken.push(`${item.key}${item.at}`)
  }
  return taken
}

describe('fair queue', () => {
  test('keys take turns, each with its items in order', () => {
    const line = queue()
    for (const at of [0, 1, 2, 3]) line.add({ key: 'a', at })
    line.add({ key: 'b', at: 4 })
    line.add({ key: 'c', at: 5 })
    line.add({ key: 'b', at: 6 })
    expect(line.size()).toBe(7)
    expect([...line.firsts()].map(({ key }) => key)).toEqual(['a', 'b', 'c'])
    expect(takeAll(line)).toEqual(['a0', 'b4', 'c5', 'a1', 'b6', 'a2', 'a3'])
    expect(line.size()).toBe(0)
  })

  test('an item that comes late takes its place by the order, not by its coming', () => {
    const line = queue()
    for (const at of [5, 9, 2, 7, 2]) line.add({ key: 'a', at })
    expect(takeAll(line)).toEqual(['a2', 'a2', 'a5', 'a7', 'a9'])
  })

  test('what is removed costs its key no turn, and what does not wait changes nothing', () => {
    const line = queue()
    const [a, b, gone] = [
      { key: 'a', at: 0 },
      { key: 'b', at: 1 },
      { key: 'a', at: 2 },
    ]
    for (const item of [a, b]) line.add(item)
    line.remove(gone)
    line.take(gone)
    expect(line.size()).toBe(2)
    line.add(gone)
    line.remove(a)
    expect(takeAll(line)).toEqual(['b1', 'a2'])
  })

  test('with k keys waiting each has its turn at least every k turns, none is lost, and each keeps its order', () => {
    const keys = ['a', 'a', 'a', 'a', 'a', 'a', 'b', 'c', 'd', 'e']
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ type: fc.constant('add' as const), key: fc.constantFrom(...keys) }) },
      { weight: 3, arbitrary: fc.record({ type: fc.constant('take' as const) }) },
      { weight: 1, arbitrary: fc.record({ type: fc.constant('remove' as const), pick: fc.nat() }) },
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const line = queue()
        let waiting: Item[] = []
        // Turns of others since a key that waits had its own, or came; and the most keys that waited meanwhile.
        const since = new Map<string, { turns: number; keys: number }>()
        const out = (item: Item) => {
          waiting = waiting.filter((other) => other !== item)
          if (!waiting.some(({ key }) => key === item.key)) since.delete(item.key)
        }
        for (const [at, action] of steps.entries()) {
          if (action.type === 'add') {
            const item = { key: action.key, at }
            line.add(item)
            waiting.push(item)
            if (!since.has(item.key)) since.set(item.key, { turns: 0, keys: 0 })
          } else if (action.type === 'remove' && waiting.length > 0) {
            const item = waiting[action.pick % waiting.length]!
            line.remove(item)
            out(item)
          } else if (action.type === 'take') {
            const item = line.next()
            expect(item === undefined).toBe(waiting.length === 0)
            if (!item) continue
            expect(item).toBe(waiting.find(({ key }) => key === item.key))
            const keys = since.size
            for (const wait of since.values()) {
              wait.turns += 1
              wait.keys = Math.max(wait.keys, keys)
              expect(wait.turns).toBeLessThanOrEqual(wait.keys)
            }
            since.set(item.key, { turns: 0, keys: 0 })
            line.take(item)
            out(item)
          }
          expect(line.size()).toBe(waiting.length)
          expect(new Set(line)).toEqual(new Set(waiting))
        }
      }),
      { numRuns: 300 },
    )
  })
})
