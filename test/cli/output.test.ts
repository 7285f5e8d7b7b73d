import { expect, test } from 'vitest'
import { formatDuration, formatPpm, formatTable, formatUsd, plural, printable } from '../../cli/output.ts'

test.each([
  [0, '0 ms'],
  [999.4, '999 ms'],
  [999.6, '1.0 s'],
  [59_949, '59.9 s'],
  [59_960, '1 min'],
  [200_000, '3 min 20 s'],
  [3_600_000, '1 h'],
  [18_600_000, '5 h 10 min'],
  [365 * 86_400_000, '365 d'],
])('%d ms is %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text)
})

test('money keeps every micro-USD', () => {
  expect([formatUsd(1), formatUsd(-1_234_567), formatUsd(0)]).toEqual(['$0.000001', '-$1.234567', '$0.000000'])
})

test('shares are percent, with a decimal where there is one', () => {
  expect([formatPpm(500_000), formatPpm(123_456)]).toEqual(['50 %', '12.3 %'])
})

test('a table lines up and ends no line with blanks', () => {
  const columns = [
    { title: 'name', value: (row: { name: string; count: number }) => row.name },
    { title: 'count', align: 'right' as const, value: (row: { count: number }) => String(row.count) },
    { title: 'more', value: () => '' },
  ]
  expect(formatTable(columns, [{ name: 'a longer one', count: 7 }])).toEqual([
    'name          count  more',
    'a longer one      7',
  ])
})

test('text from elsewhere cannot steer the terminal', () => {
  expect(printable('a\u001b[2Jb\u202ec\n')).toBe('a?[2Jb?c?')
})

test('counts agree with their noun', () => {
  expect([plural(1, 'step'), plural(0, 'step')]).toEqual(['1 step', '0 steps'])
})
