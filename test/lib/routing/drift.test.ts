import { expect, test } from 'vitest'
import { createSlidingHistogram, stabilityIndex } from '#lib/routing/drift'

const reference = { name: 'gain' as const, edges: [0, 0.5], shares: [0.5, 0.3, 0.2] }

test('the index is near nothing for the same distribution and large for another one', () => {
  expect(stabilityIndex(reference.shares, [500, 300, 200])).toBeLessThan(0.001)
  expect(stabilityIndex(reference.shares, [100, 100, 800])).toBeGreaterThan(0.25)
})

test('a window forgets what has left it', () => {
  const histogram = createSlidingHistogram(reference, 100)
  for (let i = 0; i < 100; i++) histogram.add(0.9)
  expect(histogram.index()).toBeGreaterThan(0.25)
  for (let i = 0; i < 100; i++) histogram.add(i < 50 ? -1 : i < 80 ? 0.2 : 0.9)
  expect(histogram.size()).toBe(100)
  expect(histogram.index()).toBeLessThan(0.01)
})
