import { expect, test } from 'vitest'
import { worstOf } from '#lib/ledger/ledger-lag'

test('the lag is that of the slowest replica; one that is silent counts no more, and nobody says nothing', () => {
  expect(worstOf(['0 99000', '1200 100000', '70 100000'], 100_000)).toBe(1_200)
  expect(worstOf(['9000 80000', '70 100000'], 100_000)).toBe(70)
  expect(worstOf(['9000 80000'], 100_000)).toBeNull()
  expect(worstOf([], 100_000)).toBeNull()
})
