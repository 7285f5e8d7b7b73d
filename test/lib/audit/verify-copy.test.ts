import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { ChainMark } from '#lib/audit/chain-marks'
import { writeExport } from '#lib/audit/export/write-export'
import { openExportSource } from '#lib/audit/export-source'
import { createFindings } from '#lib/audit/findings'
import { verifyLog } from '#lib/audit/verify-log'
import { createChainLog, entryOf, outcome, type RawRecord } from '../../support/chain-log.ts'
import { memorySource } from '../../support/memory-source.ts'

const made: string[] = []
afterEach(async () => {
  for (const dir of made.splice(0)) await rm(dir, { recursive: true, force: true })
})

const chainId = 'group/topic/0'
const log = createChainLog()
for (let i = 0; i < 6; i += 1) {
  log.write(chainId, 0, [outcome(i)])
  log.write('group/topic/1', 0, [outcome(100 + i)])
  log.write('group/topic/2', 1, [outcome(200 + i)])
}
const { records } = log
const idOf = (record: RawRecord): string => entryOf(record).record!.chainId
const own = records.filter((record) => idOf(record) === chainId)
const without = (...gone: RawRecord[]) => records.filter((record) => !gone.includes(record))
const swapped = (a: RawRecord, b: RawRecord) =>
  records.map((record) => (record === a ? { ...a, value: b.value } : record === b ? { ...b, value: a.value } : record))
const flipped = ({ value, ...record }: RawRecord): RawRecord => {
  const changed = Buffer.from(value)
  changed[changed.length - 3]! ^= 1
  return { ...record, value: changed }
}
const ranges = (from: number, until = 1_000) => new Map([0, 1].map((partition) => [partition, { from, until }]))

/** What verifying an export of the records says. */
async function verifyExport(of: readonly RawRecord[], marks: readonly ChainMark[], offsets = ranges(0)) {
  const dir = await mkdtemp(join(tmpdir(), 'shunt-copy-'))
  made.push(dir)
  await writeExport(await memorySource({ audit: of.map(entryOf) }), {
    dir,
    namespace: '',
    range: { offsets },
    createdBy: 'test',
    nowMs: Date.now,
    signal: new AbortController().signal,
    reading: () => ({ total: () => {}, at: () => {}, end: () => {} }),
  })
  const findings = createFindings(20)
  const { given, notCompared } = await verifyLog(await openExportSource(dir, { log: { warn: () => {} } }), {
    marks,
    copy: { ends: new Map([...offsets].map(([partition, { until }]) => [partition, until])) },
    report: findings.report,
    nowMs: Date.now,
    steps: false,
  })
  return { codes: findings.kept.map(({ code }) => code), given, notCompared }
}

test.each<[what: string, code: string, readonly RawRecord[]]>([
  ['a byte flipped', 'link_changed', records.map((record) => (record === own[2] ? flipped(record) : record))],
  ['the last link changed', 'history_rewritten', records.map((each) => (each === own[5] ? flipped(each) : each))],
  ['a record removed', 'link_missing', without(own[2]!)],
  ['the first record removed', 'link_missing', without(own[0]!)],
  ['two swapped', 'links_swapped', swapped(own[2]!, own[3]!)],
  ['one twice', 'link_repeated', [...records, { ...own[2]!, offset: 50 }]],
  ['the tail cut off', 'tail_truncated', without(own[5]!)],
  ['a chain removed', 'chain_missing', without(...own)],
  ['a partition emptied', 'chain_missing', records.filter(({ partition }) => partition === 0)],
])('an export with %s: %s', async (_what, code, tampered) => {
  expect((await verifyExport(tampered, log.marks())).codes).toEqual([code])
})

test('an export of the middle of a log is right, whatever anchors name of before and after', async () => {
  const offsets = ranges(3, 9)
  const inside = records.filter(({ offset }) => offset >= 3 && offset < 9)
  const found = await verifyExport(inside, log.marks(), offsets)
  expect(found).toMatchObject({ codes: [], notCompared: 2 })
  expect(found.given).toHaveLength(3)
  // The anchored end of partition 1 lies within.
  expect((await verifyExport(inside.slice(0, -1), log.marks(), offsets)).codes).toEqual(['tail_truncated'])
})
