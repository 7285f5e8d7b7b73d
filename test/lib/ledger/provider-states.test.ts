import { expect, test } from 'vitest'
import { unreachableToAll } from '#lib/ledger/provider-states'

test('a model is out of reach where every replica that still speaks says so', () => {
  expect(unreachableToAll(['100000 big', '99000 small big'], 100_000)).toEqual(['big'])
  expect(unreachableToAll(['100000 big', '99000'], 100_000)).toEqual([])
  expect(unreachableToAll(['100000 big', '90000'], 100_000)).toEqual(['big'])
  expect(unreachableToAll(['90000 big'], 100_000)).toEqual([])
  expect(unreachableToAll([], 100_000)).toEqual([])
})
