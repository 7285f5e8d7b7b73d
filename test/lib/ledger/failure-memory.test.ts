import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { failureHalfLifeMs, failureRatePpm, subjectsOf } from '#lib/ledger/failure-memory'

const atMs = 1_800_000_000_000

describe('the rate of failures', () => {
  test('is one half after one failure, and two thirds after two', () => {
    expect(failureRatePpm(`1 0 ${atMs}`, atMs)).toBe(500_000)
    expect(failureRatePpm(`2 0 ${atMs}`, atMs)).toBe(666_666)
    expect(failureRatePpm(null, atMs)).toBe(0)
  })

  test('fades with time, and with success', () => {
    const later = atMs + failureHalfLifeMs
    expect(failureRatePpm(`1 0 ${atMs}`, later)).toBe(333_333)
    expect(failureRatePpm(`1 8 ${atMs}`, atMs)).toBe(100_000)
    expect(failureRatePpm(`1 0 ${atMs}`, atMs + 20 * failureHalfLifeMs)).toBe(0)
  })

  test('is between nothing and all, whatever the numbers; and a clock that is behind changes nothing', () => {
    const count = fc.double({ min: 0, max: 1e9, noNaN: true })
    fc.assert(
      fc.property(count, count, fc.integer({ min: -1e12, max: 1e12 }), (failures, successes, afterMs) => {
        const kept = `${failures} ${successes} ${atMs}`
        const ppm = failureRatePpm(kept, atMs + afterMs)
        expect(Number.isInteger(ppm) && ppm >= 0 && ppm <= 1_000_000).toBe(true)
        if (afterMs < 0) expect(ppm).toBe(failureRatePpm(kept, atMs))
      }),
    )
  })
})

test('subjects are named as a snapshot names them; names that are text, and tools beyond 64, are left out', () => {
  const tools = ['search', 'x'.repeat(200), ...Array.from({ length: 100 }, (_, i) => `t${i}`)]
  const subjects = subjectsOf({ taskId: 'k', kind: 'reasoning', models: ['m'], tools })
  expect(subjects.slice(0, 4)).toEqual([
    { name: 'task', key: 'task:k' },
    { name: 'kind:reasoning', key: 'kind:reasoning' },
    { name: 'model:m', key: 'model:m' },
    { name: 'tool:search', key: 'tool:search' },
  ])
  expect(subjects).toHaveLength(3 + 63)
})
