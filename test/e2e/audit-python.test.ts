import { execFile } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { anchorLog } from '#lib/audit/anchor-log'
import { policyActivatedDraft } from '#lib/audit/records'
import { writeExport } from '#lib/audit/export/write-export'
import { createChainLog, entryOf, outcome, type RawRecord } from '../support/chain-log.ts'
import { localCodec } from '../support/local-codec.ts'
import { memorySource } from '../support/memory-source.ts'
import { pythonWith } from '../support/python.ts'

const docs = join(import.meta.dirname, '..', '..', 'docs')
const keys = generateKeyPairSync('ed25519')
const chainId = 'prod.classifier/prod.agent.steps/0'
const log = createChainLog()
for (let i = 0; i < 12; i += 1) {
  log.write(chainId, 0, [outcome(i)])
  log.write('prod.classifier/prod.agent.steps/1', 0, [outcome(100 + i)])
  log.write('prod.oss-pool/prod.agent.steps.oss/0', 1, [outcome(200 + i)])
  if (i === 5) log.reset(chainId, 0)
}
const order = { name: 'policy', orderId: 'o', actor: 'a', reason: 'r', atMs: 1, value: '{}' }
const activated = { order, offset: 0, policyHash: Buffer.alloc(32) }
log.write('prod.ledger/prod.agent.control/0', 1, [policyActivatedDraft(await localCodec(), activated)])

let python: string
let dir: string
let anchors: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shunt-python-'))
  python = await pythonWith(join(docs, 'audit-verify-requirements.txt'))
  anchors = await anchored(log.records, '')
  await writeFile(join(dir, 'key.pub'), keys.publicKey.export({ type: 'spki', format: 'pem' }))
}, 400_000)
afterAll(() => rm(dir, { recursive: true, force: true }))

interface OffsetRange {
  from: number
  until: number
}
const all: OffsetRange = { from: 0, until: 1_000 }

const sourceOf = (records: readonly RawRecord[]) => memorySource({ audit: records.map(entryOf) })

/** A line of anchors behind those that are there. */
async function anchored(records: readonly RawRecord[], before: string): Promise<string> {
  const { line } = await anchorLog(await sourceOf(records), {
    namespace: 'prod',
    privateKey: keys.privateKey,
    before,
    report: ({ message }) => expect.fail(message),
    nowMs: Date.now,
  })
  return line
}

/** What the Python verifier says of an export of the records. */
async function verify(records: readonly RawRecord[], change: { anchors?: string; ranges?: OffsetRange[] } = {}) {
  const out = await mkdtemp(join(dir, 'export-'))
  const { ranges = [all, all] } = change
  const ends = new Map(ranges.map((range, partition) => [partition, range]))
  await writeExport(await sourceOf(records), {
    dir: out,
    namespace: 'prod',
    range: { offsets: ends },
    createdBy: 'test',
    nowMs: Date.now,
    signal: new AbortController().signal,
    reading: () => ({ total: () => {}, at: () => {}, end: () => {} }),
    maxFileBytes: 4_000,
  })
  const file = join(out, 'anchors.jsonl')
  await writeFile(file, change.anchors ?? anchors)
  const args = [join(docs, 'audit-verify.py'), out, file, join(dir, 'key.pub')]
  const { promise, resolve } = Promise.withResolvers<{ code: number; stdout: string; stderr: string }>()
  execFile(python, args, (error, stdout, stderr) => resolve({ code: error ? Number(error.code) : 0, stdout, stderr }))
  return promise
}

const own = log.records.flatMap((record, i) => (entryOf(record).record?.chainId === chainId ? [i] : []))
const at = (n: number) => log.records[own[n]!]!
const placeOf = (n: number) => `${at(n).partition}/${at(n).offset}`

function flipped(record: RawRecord): RawRecord {
  const value = Buffer.from(record.value)
  value[value.length - 3]! ^= 1
  return { ...record, value }
}

test('a whole log has no findings', async () => {
  expect(await verify(log.records)).toEqual({ code: 0, stdout: '', stderr: '4 chains, 0 findings\n' })
})

test.each<[string, readonly RawRecord[], string]>([
  [
    'a flipped byte',
    log.records.with(own[2]!, flipped(at(2))),
    `epoch 1 seq 4 at ${placeOf(3)} or the link before it at ${placeOf(2)} was changed`,
  ],
  [
    'a removed first record',
    log.records.toSpliced(own[0]!, 1),
    `the links before epoch 1 seq 2 at ${placeOf(1)} are missing`,
  ],
  ['a removed record', log.records.toSpliced(own[2]!, 1), `seq 3 to 3 missing between ${placeOf(1)} and ${placeOf(3)}`],
  [
    'swapped records',
    log.records.with(own[2]!, { ...at(2), value: at(3).value }).with(own[3]!, { ...at(3), value: at(2).value }),
    `epoch 1 seq 3 at ${placeOf(3)} comes again, too late or elsewhere: it was at ${placeOf(2)}`,
  ],
  [
    'a truncated tail',
    log.records.toSpliced(own.at(-1)!, 1),
    `ends at ${placeOf(own.length - 2)}, before the anchored epoch 2 seq 7`,
  ],
  [
    'a changed last record',
    log.records.with(own.at(-1)!, flipped(at(own.length - 1))),
    'is not the link that was anchored',
  ],
  [
    'a removed chain',
    log.records.filter((_, i) => !own.includes(i)),
    'the chain is missing; anchored up to epoch 2 seq 7',
  ],
  [
    'a removed end of an epoch',
    log.records.toSpliced(own[5]!, 1),
    `epoch 2 seq 1 at ${placeOf(6)} opens an epoch and does not name the last link`,
  ],
  [
    'a record that is none',
    log.records.with(own[2]!, { ...at(2), value: Buffer.from('none') }),
    `the record at ${placeOf(2)} is no link`,
  ],
])('%s is told, with its record', async (_what, records, message) => {
  const { code, stdout } = await verify(records)
  expect(stdout).toContain(message)
  expect(code).toBe(1)
})

describe('an export of a part of the log', () => {
  const later = log.records.filter(({ partition, offset }) => partition === 1 || offset >= at(4).offset)
  const ranges = [{ from: at(4).offset, until: 1_000 }, all]

  test('has no findings, and neither has one with partitions that got nothing meanwhile', async () => {
    expect(await verify(later, { ranges })).toMatchObject({ code: 0, stdout: '' })
    const idle = [
      { from: at(4).offset, until: 1_000 },
      { from: 12, until: 12 },
    ]
    const before = [all, { from: 0, until: 0 }]
    const own = (records: readonly RawRecord[]) => records.filter(({ partition }) => partition === 0)
    expect(await verify(own(later), { ranges: idle })).toMatchObject({ code: 0, stdout: '' })
    const found = await verify(own(log.records), { ranges: before })
    expect(found).toMatchObject({ code: 0, stdout: '', stderr: expect.stringContaining('lies outside of this export') })
  })

  test('that lacks an anchored link, and has what lay before it, is told', async () => {
    const early = log.records.slice(0, log.records.indexOf(at(5)) + 1)
    const line = await anchored(early, '')
    const both = line + (await anchored(log.records, line))
    expect(await verify(later, { ranges, anchors: both })).toMatchObject({ code: 0, stdout: '' })
    const lost = later.filter((record) => record !== at(4) && record !== at(5))
    const { code, stdout } = await verify(lost, { ranges, anchors: both })
    expect(stdout).toBe(`${chainId}: the links before epoch 2 seq 1 at ${placeOf(6)} are missing\n`)
    expect(code).toBe(1)
  })
})

test('anchors without a line are told: nothing was compared', async () => {
  const { code, stdout } = await verify(log.records, { anchors: '' })
  expect(stdout).toBe('no line of the anchors can be used\n')
  expect(code).toBe(1)
})

test('an anchor that was changed, or that another key signed, is told', async () => {
  const forged = anchors.replace(/"payload":"(.{40})./, (_all, start) => `"payload":"${start}_`)
  const { code, stdout } = await verify(log.records, { anchors: forged })
  expect(stdout).toContain('line 1 of the anchors is not signed with this key, or was changed')
  expect(code).toBe(1)
})
