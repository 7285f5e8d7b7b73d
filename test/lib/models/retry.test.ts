import { assert, double, integer, nat, option, property } from 'fast-check'
import { expect, test } from 'vitest'
import { backoffMs } from '#lib/models/retry'

test('waits double, and Retry-After is the least that is waited', () => {
  expect([1, 2, 3].map((tries) => backoffMs(tries, () => 0.5, undefined))).toEqual([125, 250, 500])
  expect(backoffMs(1, () => 0.5, 3_000)).toBe(3_125)
})

test('no wait exceeds the bound, and none is shorter than asked', () => {
  assert(
    property(
      integer({ min: 1, max: 60 }),
      double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
      option(nat(100_000), { nil: undefined }),
      (tries, random, retryAfterMs) => {
        const waitMs = backoffMs(tries, () => random, retryAfterMs)
        expect(waitMs).toBeGreaterThanOrEqual(retryAfterMs ?? 0)
        expect(waitMs).toBeLessThanOrEqual((retryAfterMs ?? 0) + 20_000)
      },
    ),
  )
})
