import { expect, test } from 'vitest'
import { createTurns } from '#lib/worker/batch-turns'

const turnOfTheLoop = () => new Promise((resolve) => setImmediate(resolve))

test('so many go on in one turn of the event loop, in the order of their coming, and none is forgotten', async () => {
  const nextTurn = createTurns(3)
  const gone: number[] = []
  const go = async (i: number) => {
    await nextTurn()
    gone.push(i)
  }
  const all = Array.from({ length: 8 }, (_, i) => go(i))
  await Promise.resolve()
  expect(gone).toEqual([0, 1, 2])
  await turnOfTheLoop()
  expect(gone.length).toBeLessThanOrEqual(6)
  await Promise.all(all)
  expect(gone).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
  // An idle one lets go on at once again.
  await turnOfTheLoop()
  await turnOfTheLoop()
  void go(8)
  await Promise.resolve()
  expect(gone.at(-1)).toBe(8)
})
