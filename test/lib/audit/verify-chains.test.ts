import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createChainLog, entryOf, outcome, verifyRecords, type RawRecord } from '../../support/chain-log.ts'

const chainId = 'group/topic/0'

/** Chain 0 with links 0 … count-1 in partition 0, and another one beside it. */
function logOf(count = 6) {
  const log = createChainLog()
  for (let i = 0; i < count; i += 1) {
    log.write(chainId, 0, [outcome(i)])
    if (i % 2 === 0) log.write('group/topic/1', 0, [outcome(100 + i)])
    log.write('group/topic/2', 1, [outcome(200 + i)])
  }
  return log
}

/** Indexes of the chain's records within the log. */
function linksOf(records: readonly RawRecord[], of = chainId): number[] {
  return records.flatMap((record, i) => (entryOf(record).record?.chainId === of ? [i] : []))
}

function flipped(record: RawRecord, at: number, bit = 1): RawRecord {
  const value = Buffer.from(record.value)
  value[at < 0 ? value.length + at : at]! ^= bit
  return { ...record, value }
}

describe('a whole log', () => {
  test('has no findings, with and without anchors and lanes', () => {
    const log = logOf()
    expect(verifyRecords(log.records).findings).toEqual([])
    const marked = verifyRecords(log.records, { marks: [...log.marks(), ...log.marks('lane')] })
    expect(marked.findings).toEqual([])
    expect(marked.verifier.counts()).toEqual({ chains: 3, links: log.records.length, compared: 6, notCompared: 0 })
  })

  test('may go on in a later epoch that names the last link', () => {
    const log = logOf()
    log.reset(chainId, 0)
    log.write(chainId, 0, [outcome(7), outcome(8)])
    expect(verifyRecords(log.records, { marks: log.marks() }).findings).toEqual([])
  })
})

describe('what was done to the log is found, each by its own message', () => {
  test('a byte of a link that was changed, at the link after it, with both places', () => {
    const { records } = logOf()
    const changed = linksOf(records)[2]!
    const { findings, codes } = verifyRecords(records.with(changed, flipped(records[changed]!, -3)))
    expect(codes).toEqual(['link_changed'])
    expect(findings[0]).toMatchObject({ chainId, epoch: 1, seq: 4 })
    const after = records[linksOf(records)[3]!]!
    expect(findings[0]!.place).toEqual({ partition: 0, offset: after.offset, timestampMs: after.timestampMs })
    expect(findings[0]!.message).toContain(`seq 3 at 0/${records[changed]!.offset} was changed, or epoch 1 seq 4 at 0/`)
  })

  test('a record that was removed', () => {
    const { records } = logOf()
    const { findings, codes } = verifyRecords(records.toSpliced(linksOf(records)[2]!, 1))
    expect(codes).toEqual(['link_missing'])
    expect(findings[0]).toMatchObject({
      chainId,
      epoch: 1,
      seq: 3,
      message: expect.stringContaining('seq 3 is missing, between 0/'),
    })
  })

  test('the first record that was removed', () => {
    const { records } = logOf()
    const { findings } = verifyRecords(records.toSpliced(1, 1))
    expect(findings).toMatchObject([
      { code: 'link_missing', seq: 1, message: expect.stringContaining('where the log begins') },
    ])
  })

  test.each([1, 2])('two records that were swapped, the second %i behind', (by) => {
    const { records } = logOf()
    const [a, b] = [linksOf(records)[2]!, linksOf(records)[2 + by]!]
    const swapped = records
      .with(a, { ...records[a]!, value: records[b]!.value })
      .with(b, { ...records[b]!, value: records[a]!.value })
    const { findings } = verifyRecords(swapped)
    expect(findings[0]).toMatchObject({ code: 'links_swapped', chainId, seq: by === 1 ? 3 : 4 })
    expect(findings[0]!.message).toContain(`comes after seq ${3 + by} at 0/${records[a]!.offset}`)
    expect(findings.every(({ code }) => code === 'links_swapped')).toBe(true)
  })

  test('a record that is there twice', () => {
    const { records } = logOf()
    const at = linksOf(records)[2]!
    const { findings, codes } = verifyRecords(records.toSpliced(at + 1, 0, records[at]!))
    expect(codes).toEqual(['link_repeated'])
    expect(findings[0]).toMatchObject({ chainId, seq: 3 })
  })

  test.each(['anchor', 'lane'] as const)('a tail that was cut off, by what %ss know', (by) => {
    const log = logOf()
    const { findings, codes } = verifyRecords(log.records.toSpliced(linksOf(log.records).at(-1)!, 1), {
      marks: log.marks(by),
    })
    expect(codes).toEqual(['tail_truncated'])
    expect(findings[0]).toMatchObject({
      chainId,
      epoch: 1,
      seq: 6,
      message: expect.stringContaining('the chain ends with epoch 1 seq 5'),
    })
  })

  test.each(['anchor', 'lane'] as const)('a chain that was removed, by what %ss know', (by) => {
    const log = logOf()
    const gone = new Set(linksOf(log.records, 'group/topic/2'))
    const { findings, codes } = verifyRecords(
      log.records.filter((_, i) => !gone.has(i)),
      { marks: log.marks(by) },
    )
    expect(codes).toEqual(['chain_missing'])
    expect(findings[0]).toMatchObject({ chainId: 'group/topic/2', seq: 6 })
  })

  test('a last link that was changed, which no link follows', () => {
    const log = logOf()
    const last = linksOf(log.records).at(-1)!
    const changed = log.records.with(last, flipped(log.records[last]!, -3))
    expect(verifyRecords(changed).codes).toEqual([])
    expect(verifyRecords(changed, { marks: log.marks('lane') }).codes).toEqual(['last_link_changed'])
    expect(verifyRecords(changed, { marks: log.marks('anchor') }).codes).toEqual(['history_rewritten'])
  })

  test('a history that was written anew, with all hashes after the change made again', () => {
    const [log, forged] = [logOf(), createChainLog()]
    for (let i = 0; i < 6; i += 1) forged.write(chainId, 0, [outcome(i === 2 ? 999 : i)])
    const { findings, codes } = verifyRecords(forged.records, {
      marks: log.marks().filter((mark) => mark.chainId === chainId),
    })
    expect(codes).toEqual(['history_rewritten'])
    expect(findings[0]).toMatchObject({
      chainId,
      seq: 6,
      message: expect.stringContaining('the history up to it was written anew'),
    })
  })

  test('a chain of which links lie in another partition', () => {
    const { records } = logOf()
    const copied = linksOf(records).map((i) => ({ ...records[i]!, partition: 2 }))
    const { findings, codes } = verifyRecords([...records, ...copied])
    expect(codes).toEqual(['chain_in_two_partitions'])
    expect(findings[0]).toMatchObject({ chainId, seq: 1, place: { partition: 2 } })
  })

  test('bytes that are no record, and the link that is missing for them', () => {
    const { records } = logOf()
    const at = linksOf(records)[2]!
    const { findings, codes } = verifyRecords(records.with(at, flipped(records[at]!, 0)))
    expect(codes).toEqual(['record_undecodable', 'link_missing'])
    expect(findings[1]!.message).toContain(
      `the record at 0/${records[at]!.offset}, which cannot be decoded, lies there`,
    )
  })

  test.each([
    ['names no link before', { lastEpoch: null, lastSeq: null, lastHash: null }, 'says that there was no link'],
    ['names a later link', { lastSeq: 9 }, 'names epoch 1 seq 9'],
    ['names another hash', { lastHash: Buffer.alloc(32, 1) }, 'that link was changed'],
  ])('a later epoch whose reset %s', (_what, change, message) => {
    const log = logOf()
    log.reset(chainId, 0, change)
    expect(verifyRecords(log.records).findings).toMatchObject([
      { code: 'epoch_unexplained', chainId, epoch: 2, seq: 1, message: expect.stringContaining(message) },
    ])
  })

  test('a later epoch whose reset was removed', () => {
    const log = logOf()
    log.reset(chainId, 0)
    const reset = log.records.length - 1
    log.write(
      chainId,
      0,
      Array.from({ length: 5 }, (_, i) => outcome(i)),
    )
    const { codes } = verifyRecords(log.records.toSpliced(reset, 1), { marks: log.marks() })
    expect(codes).toEqual(['epoch_unexplained'])
  })
})

describe('a verification that begins inside of the log', () => {
  const log = logOf(12)
  const cut = log.records.slice(9)

  test('takes the first link of a chain as given and says where it stands', () => {
    for (const options of [{}, { range: { sinceMs: 10_009 } }]) {
      const { findings, verifier } = verifyRecords(cut, options)
      expect(findings).toEqual([])
      const first = entryOf(cut[linksOf(cut)[0]!]!).record!
      expect(verifier.givenStarts()).toContainEqual(expect.objectContaining({ chainId, epoch: 1, seq: first.seq }))
    }
  })

  test('compares with no anchor of before, and counts those', () => {
    const before = logOf(3).marks()
    const { findings, verifier } = verifyRecords(cut, { marks: [...before, ...log.marks()] })
    expect(findings).toEqual([])
    expect(verifier.counts()).toMatchObject({ compared: 3, notCompared: 3 })
  })

  test('misses an anchored link that a chain lost behind the beginning of its partition', () => {
    const marks = logOf(6).marks()
    expect(verifyRecords(cut, { marks }).findings).toEqual([])
    const lost = new Set(linksOf(cut).slice(0, 2))
    const { findings } = verifyRecords(
      cut.filter((_, i) => !lost.has(i)),
      { marks },
    )
    const message = expect.stringMatching(/has epoch 1 seq 7 at 0\/\d+ and what follows, and an anchor of .* seq 6 at/)
    expect(findings).toMatchObject([{ code: 'link_missing', chainId, seq: 6, message }])
  })

  test('of a copy misses nothing of partitions that got nothing meanwhile', () => {
    const before = logOf(3).marks()
    const inFirst = cut.filter(({ partition }) => partition === 0)
    const firstOffset = inFirst[0]!.offset
    const ends = new Map([
      [0, 1_000],
      [1, 12],
    ])
    const starts = (second: number) =>
      new Map([
        ['agent.audit/0', firstOffset],
        ['agent.audit/1', second],
      ])
    const { findings, verifier } = verifyRecords(inFirst, { marks: before, ends, starts: starts(12) })
    expect(findings).toEqual([])
    expect(verifier.counts()).toMatchObject({ compared: 0, notCompared: 3 })
    const gone = verifyRecords(inFirst, { marks: before, ends, starts: starts(0) })
    expect(gone.codes).toEqual(['chain_missing'])
  })

  test('takes no clock that ran backwards next to its bounds for a missing link', () => {
    const boundMs = 1_000_000
    const [at] = linksOf(log.records).slice(6)
    // A lane that moved: the link of `at` was written by a host whose clock is a second behind, or ahead.
    const written = (firstMs: number, shiftMs: number) =>
      log.records.map((record, i) => ({ ...record, timestampMs: firstMs + i + (i === at ? shiftMs : 0) }))
    const later = written(boundMs, -1_000).filter(({ timestampMs }) => timestampMs >= boundMs)
    expect(verifyRecords(later, { range: { sinceMs: boundMs } }).findings).toEqual([])
    const earlier = written(boundMs - 100, 1_000).filter(({ timestampMs }) => timestampMs < boundMs)
    expect(verifyRecords(earlier, { range: { untilMs: boundMs } }).findings).toEqual([])
    // Far from the bounds a link that is not there was removed.
    const removed = written(boundMs + 3_600_000, 0).filter((_, i) => i !== at)
    expect(verifyRecords(removed, { range: { sinceMs: boundMs, untilMs: 2 * boundMs + 7_200_000 } }).codes).toEqual([
      'link_missing',
    ])
  })

  test('still finds what was changed behind its beginning', () => {
    const at = linksOf(cut)[2]!
    expect(verifyRecords(cut.with(at, flipped(cut[at]!, -3))).codes).toEqual(['link_changed'])
  })

  test('that ends before an anchor does not miss its link', () => {
    const { findings, verifier } = verifyRecords(log.records.slice(0, 10), {
      range: { untilMs: 10_010 },
      marks: log.marks(),
    })
    expect(findings).toEqual([])
    expect(verifier.counts().notCompared).toBe(3)
  })
})

test('any single change of any byte of any link is found, where anchors name the ends', () => {
  const anyLog = fc.array(fc.tuple(fc.nat(2), fc.integer({ min: 1, max: 3 })), { minLength: 1, maxLength: 8 })
  const anyChange = fc.tuple(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 255 }))
  fc.assert(
    fc.property(anyLog, anyChange, (writes, [which, where, bits]) => {
      const log = createChainLog()
      for (const [i, [chain, links]] of writes.entries())
        log.write(
          `group/topic/${chain}`,
          chain % 2,
          Array.from({ length: links }, (_, n) => outcome(10 * i + n)),
        )
      expect(verifyRecords(log.records, { marks: log.marks() }).codes).toEqual([])
      const at = which % log.records.length
      const changed = flipped(log.records[at]!, where % log.records[at]!.value.length, bits)
      expect(verifyRecords(log.records.with(at, changed), { marks: log.marks() }).codes).not.toEqual([])
    }),
    { numRuns: 2_000 },
  )
})

test('any record that is left out, repeated or put elsewhere in its partition is found, where anchors name the ends', () => {
  const log = logOf()
  const marks = log.marks()
  const inPartition = log.records.filter(({ partition }) => partition === 0)
  const ofChain = (record: RawRecord) => entryOf(record).record!.chainId
  for (const [from, record] of inPartition.entries()) {
    const without = inPartition.toSpliced(from, 1)
    expect(verifyRecords(without, { marks }).codes, `${from} left out`).not.toEqual([])
    for (let to = 0; to <= without.length; to += 1) {
      const moved = without.toSpliced(to, 0, record)
      const order = (records: readonly RawRecord[]) => records.filter((each) => ofChain(each) === ofChain(record))
      const same = order(moved).every((each, i) => each === order(inPartition)[i])
      const own = verifyRecords(moved).findings.filter((finding) => finding.chainId === ofChain(record))
      expect(own.length > 0, `${from} moved to ${to}`).toBe(!same)
      expect(verifyRecords(inPartition.toSpliced(to, 0, record)).codes, `${from} again at ${to}`).not.toEqual([])
    }
  }
})
