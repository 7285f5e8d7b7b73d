import { describe, expect, test } from 'vitest'
import type { ChainEnds } from '#lib/audit/export/chain-ends'
import { gapsBetween, idleChains, rangeAfter } from '#lib/audit/export/succession'

const hashes = { zero: '00'.repeat(32), earlier: 'aa'.repeat(32), other: 'bb'.repeat(32) }

function chains(first: Partial<ChainEnds['first']>, last: Partial<ChainEnds['last']> = {}) {
  return {
    idleChains: [],
    chains: [
      {
        chainId: 'classifier/agent.steps/0',
        partition: 0,
        first: { offset: 0, epoch: 1, seq: 1, prevHash: hashes.zero, ...first },
        last: { offset: 9, epoch: 1, seq: 7, hash: hashes.earlier, ...last },
      },
    ],
  }
}

const nothing = { chains: [], idleChains: [] }

describe('two exports join', () => {
  test.each([
    ['where the chain goes on', chains({ seq: 8, prevHash: hashes.earlier })],
    ['where it lost its head and began a later epoch', chains({ epoch: 2, seq: 1 })],
    ['where nothing was written since', { chains: [] }],
  ])('%s', (_name, later) => {
    expect(gapsBetween(chains({}), later)).toEqual([])
  })

  test('where a chain is new', () => {
    expect(gapsBetween(nothing, chains({}))).toEqual([])
  })
})

test('a chain that was idle for a while joins what it was before', () => {
  const idle = { chains: [], idleChains: idleChains(chains({}), nothing) }
  const idler = { chains: [], idleChains: idleChains(idle, nothing) }
  expect(gapsBetween(idler, chains({ seq: 8, prevHash: hashes.earlier }))).toEqual([])
  expect(gapsBetween(idler, chains({ seq: 9, prevHash: hashes.earlier }))).toHaveLength(1)
  expect(idleChains(idler, chains({}))).toEqual([])
})

describe('two exports do not join', () => {
  test.each([
    ['where a link is missing', chains({ seq: 9, prevHash: hashes.earlier })],
    ['where a link is there twice', chains({ seq: 7, prevHash: hashes.earlier })],
    ['where the link before was another', chains({ seq: 8, prevHash: hashes.other })],
    ['where the chain begins again in its epoch', chains({})],
    ['where a later epoch has lost its beginning', chains({ epoch: 2, seq: 2 })],
  ])('%s', (_name, later) => {
    expect(gapsBetween(chains({}), later)).toEqual([
      expect.stringMatching(
        /^classifier\/agent\.steps\/0 begins with epoch \d, seq \d, which does not follow epoch 1, seq 7/,
      ),
    ])
  })

  test('where a chain that is not in the earlier one has lost its beginning', () => {
    expect(gapsBetween(nothing, chains({ seq: 3 }))).toEqual([expect.stringContaining('has nothing of it')])
  })
})

describe('the range after an export', () => {
  const upTo = {
    untilMs: 900,
    offsets: new Map([
      [0, { from: 0, until: 50 }],
      [1, { from: 0, until: 5 }],
      [2, { from: 3, until: 8 }],
    ]),
  }
  const offsets = [
    { partition: 0, from: 0, until: 20 },
    { partition: 1, from: 0, until: 10 },
  ]

  test('begins at the offsets and the time where it ended, and holds what a new partition has', () => {
    const range = { sinceMs: null, untilMs: 500, offsets }
    expect(rangeAfter({ range }, upTo)).toEqual({
      sinceMs: 500,
      untilMs: 900,
      offsets: new Map([
        [0, { from: 20, until: 50 }],
        [1, { from: 10, until: 10 }],
        [2, { from: 0, until: 8 }],
      ]),
    })
  })

  test('is not known where the export had no end', () => {
    expect(() => rangeAfter({ range: { sinceMs: null, untilMs: null, offsets } }, upTo)).toThrow(/give --until/)
  })
})
