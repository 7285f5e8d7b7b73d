import { Command } from 'commander'
import { expect, test } from 'vitest'
import { addRangeOptions, filterOf, type RangeFlags } from '../../cli/replay-range.ts'

function parse(...args: string[]): RangeFlags {
  const command = addRangeOptions(new Command().exitOverride().configureOutput({ writeErr: () => {} }))
  return command.parse(args, { from: 'user' }).opts<RangeFlags>()
}

test('options that are repeated widen their part of the range', () => {
  const flags = parse('--task', 'a', '--task', 'b', '--tier', 'oss', '--reason', 'rule', '--tenant', 'acme')
  expect(filterOf(flags)).toEqual({ tasks: ['a', 'b'], tenants: ['acme'], tiers: ['oss'], reasons: ['rule'] })
  expect(filterOf(parse())).toEqual({ tasks: [], tenants: [], tiers: [], reasons: [] })
})

test('times are ages or dates', () => {
  expect(parse('--since', '2026-05-12T10:00:00Z').since).toBe(Date.UTC(2026, 4, 12, 10))
  const { until } = parse('--until', '2h')
  expect(Math.abs(Date.now() - 7_200_000 - until!)).toBeLessThan(60_000)
})

test('offsets are of one partition each, and an end may be left out', () => {
  expect(parse('--offsets', '3:10-20', '--offsets', '0:-5', '--offsets', '1:-').offsets).toEqual(
    new Map([
      [3, { from: 10, until: 20 }],
      [0, { until: 5 }],
      [1, {}],
    ]),
  )
})

test.each([
  ['--since', 'yesterday'],
  ['--since', '2026-99-99'],
  ['--offsets', '3'],
  ['--offsets', '3:a-b'],
  ['--tier', 'cheap'],
  ['--reason', 'because'],
])('wrong usage: %s %s', (...args) => {
  expect(() => parse(...args)).toThrow(/argument/)
})
