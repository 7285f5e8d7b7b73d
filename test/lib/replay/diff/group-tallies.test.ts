import { expect, test } from 'vitest'
import { createGroupTallies } from '#lib/replay/diff/group-tallies'
import type { Redecision } from '#lib/replay/diff/redecision'

/** As far as groups look at it. */
function redecision(costAfter: number): Redecision {
  const side = (microUsd: number) => ({
    standing: 'oss',
    outcome: { model: 'm' },
    cost: { microUsd, basis: 'recorded' },
  })
  return { before: side(0), after: side(costAfter) } as unknown as Redecision
}

test('of more names than memory has room for, those that move most money stay and every decision counts', () => {
  const tallies = createGroupTallies()
  for (let i = 0; i < 20_000; i++) {
    tallies.add(`small-${i}`, redecision(1))
    tallies.add(`large-${i % 3}`, redecision(1_000))
  }
  const { groups, rest, restGroups } = tallies.top(3)
  expect(Object.fromEntries(groups.map(({ name, decisions }) => [name, decisions]))).toEqual({
    'large-0': 6_667,
    'large-1': 6_667,
    'large-2': 6_666,
  })
  expect(rest).toMatchObject({ decisions: 20_000, costAfterMicroUsd: 20_000 })
  expect(restGroups).toBe(20_000)
})
