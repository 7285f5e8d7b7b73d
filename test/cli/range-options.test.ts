import { Command } from 'commander'
import { describe, expect, test } from 'vitest'
import type { DecisionRecord } from '#lib/events/types.generated'
import { addRangeOptions, filterOf, rangeOf, type RangeFlags } from '../../cli/range-options.ts'

const nowMs = Date.UTC(2026, 10, 25, 12)

function flagsOf(...args: string[]): RangeFlags {
  const command = addRangeOptions(new Command().exitOverride().configureOutput({ writeErr: () => {} }))
  return command.parse(args, { from: 'user' }).opts()
}

describe('times', () => {
  test.each([
    ['24h', nowMs - 86_400_000],
    ['90', nowMs - 90_000],
    ['2026-11-24', Date.UTC(2026, 10, 24)],
    ['2026-11-24T10:30', Date.UTC(2026, 10, 24, 10, 30)],
    ['2026-11-24T10:30:15.5Z', Date.UTC(2026, 10, 24, 10, 30, 15, 500)],
    ['2026-11-24T10:30:00+02:00', Date.UTC(2026, 10, 24, 8, 30)],
  ])('%s', (text, atMs) => {
    expect(rangeOf(flagsOf('--since', text), nowMs).sinceMs).toBe(atMs)
    expect(rangeOf(flagsOf('--until', text), nowMs).untilMs).toBe(atMs)
  })

  test.each([
    ['1h', '1h'],
    ['1h', '2h'],
    ['2026-11-24', '2026-11-23'],
  ])('from %s until %s hold nothing, which is told', (since, until) => {
    expect(() => rangeOf(flagsOf('--since', since, '--until', until), nowMs)).toThrow(/give a --since before --until/)
  })

  test.each(['yesterday', '2026-13-45', '2026-02-30', '24 h', '2026-11-24T25:00', ''])('%j is wrong usage', (text) => {
    expect(() => flagsOf('--since', text)).toThrow(/how long ago/)
  })
})

describe('offsets', () => {
  test('ends may be left open, and partitions be several', () => {
    expect(
      rangeOf(flagsOf('--offsets', '3:100-200', '--offsets', '0:5-', '--offsets', '1:-7', '--offsets', '2'), 0),
    ).toEqual({
      sinceMs: undefined,
      untilMs: undefined,
      offsets: new Map([
        [3, { from: 100, until: 200 }],
        [0, { from: 5, until: undefined }],
        [1, { from: undefined, until: 7 }],
        [2, { from: undefined, until: undefined }],
      ]),
    })
    expect(rangeOf(flagsOf(), 0).offsets).toBeUndefined()
  })

  test('of one partition, two ranges are refused rather than one of them left out', () => {
    expect(() => flagsOf('--offsets', '3:0-100', '--offsets', '3:200-300')).toThrow(/partition 3 is named twice/)
  })

  test.each(['x', '1:2', '1:20-10', '-1:0-1', '1:0-1-2'])('%s is wrong usage', (text) => {
    expect(() => flagsOf(`--offsets=${text}`)).toThrow(/offset|PARTITION/)
  })
})

describe('decisions', () => {
  const record = (taskId: string, tenantId: string, tier: 'oss' | 'frontier' | null, reasons: string[]) =>
    ({ taskId, facts: { tenantId }, outcome: { tier, reasons } }) as DecisionRecord
  const records = [
    record('t1', 'acme', 'oss', []),
    record('t1', 'globex', 'frontier', ['low_confidence', 'rule']),
    record('t2', 'acme', null, ['budget_exhausted']),
  ]
  const kept = (...args: string[]) => records.filter(filterOf(flagsOf(...args))!).map((each) => records.indexOf(each))

  test('each option narrows, and repeated ones widen', () => {
    expect(kept('--task', 't1')).toEqual([0, 1])
    expect(kept('--task', 't1', '--tenant', 'acme')).toEqual([0])
    expect(kept('--tier', 'none', '--tier', 'oss')).toEqual([0, 2])
    expect(kept('--reason', 'rule', '--reason', 'budget_exhausted')).toEqual([1, 2])
    expect(kept('--reason', 'rule', '--tier', 'oss')).toEqual([])
  })

  test('no option asks for all', () => expect(filterOf(flagsOf('--since', '1h'))).toBeUndefined())
  test('a tier that does not exist is wrong usage', () =>
    expect(() => flagsOf('--tier', 'gpu')).toThrow(/oss, frontier, none/))
})
