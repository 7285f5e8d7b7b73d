import { expect, test } from 'vitest'
import { createCommitTurns } from '#lib/stream/commit-turns'

test('one commits at a time, the others in the order of their asking, each told once', () => {
  const turns = createCommitTurns()
  const told: string[] = []
  const lane = (name: string) => {
    const again = () => {
      told.push(name)
      turns.take(again)
    }
    return again
  }
  const [b, c] = [lane('b'), lane('c')]
  expect(turns.take(lane('a'))).toBe(true)
  for (const again of [b, c, b]) expect(turns.take(again)).toBe(false)
  turns.pass()
  expect(told).toEqual(['b'])
  turns.pass()
  turns.pass()
  expect(told).toEqual(['b', 'c'])
  expect(turns.take(b)).toBe(true)
})

test('one that has nothing to commit any more leaves the turn to the next', () => {
  const turns = createCommitTurns()
  const told: string[] = []
  turns.take(() => {})
  turns.take(() => void told.push('closed'))
  const open = () => {
    told.push('open')
    turns.take(open)
  }
  turns.take(open)
  turns.pass()
  expect(told).toEqual(['closed', 'open'])
  expect(turns.take(() => {})).toBe(false)
})
