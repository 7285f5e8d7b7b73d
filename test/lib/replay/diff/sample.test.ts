import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createSample } from '#lib/replay/diff/sample'

function drawn(keys: readonly string[], size: number, seed = 1): string[] {
  const sample = createSample<string>(size, seed)
  for (const key of keys) sample.offer(key, () => key)
  return sample.items()
}

describe('a sample', () => {
  test('is of the size that was asked for, without an item twice, in whatever order they come', () =>
    fc.assert(
      fc.property(fc.uniqueArray(fc.string()), fc.nat(10), fc.nat(), (keys, size, turn) => {
        const found = drawn(keys, size)
        expect(found).toHaveLength(Math.min(size, keys.length))
        expect(new Set(found).size).toBe(found.length)
        const at = keys.length === 0 ? 0 : turn % keys.length
        expect(drawn([...keys.slice(at), ...keys.slice(0, at)].toReversed(), size)).toEqual(found)
      }),
    ))

  test('is another one by another seed, and makes only what it keeps at the time', () => {
    const keys = Array.from({ length: 1_000 }, (_, i) => `k${i}`)
    expect(drawn(keys, 10, 2)).not.toEqual(drawn(keys, 10, 1))
    const sample = createSample<string>(10, 1)
    let made = 0
    for (const key of keys) sample.offer(key, () => ((made += 1), key))
    // 10 (1 + ln(1000 / 10)) are expected: 56.
    expect(made).toBeLessThan(150)
  })

  test('draws evenly', () => {
    const keys = Array.from({ length: 20 }, (_, i) => `k${i}`)
    const times = new Map(keys.map((key) => [key, 0]))
    for (let seed = 0; seed < 2_000; seed++) for (const key of drawn(keys, 5, seed)) times.set(key, times.get(key)! + 1)
    // Each 500 times; five standard deviations are 97.
    for (const count of times.values()) expect(Math.abs(count - 500)).toBeLessThan(97)
  })
})
