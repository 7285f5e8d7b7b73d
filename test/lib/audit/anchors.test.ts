import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anchorLog } from '#lib/audit/anchor-log'
import { formatAnchor, marksOf, readAnchors, readPrivateKey, readPublicKey, type Anchor } from '#lib/audit/anchors'
import type { Finding } from '#lib/audit/findings'
import { createChainLog, entryOf, outcome, verifyRecords, type RawRecord } from '../../support/chain-log.ts'
import { memorySource } from '../../support/memory-source.ts'

const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const namespace = 'prod'

function read(text: string, change: Partial<Parameters<typeof readAnchors>[1]> = {}) {
  const findings: Finding[] = []
  const found = readAnchors(text, { publicKey, namespace, report: (finding) => findings.push(finding), ...change })
  return { ...found, findings, codes: findings.map(({ code }) => code) }
}

async function anchor(records: readonly RawRecord[], before = '', change: { namespace?: string } = {}) {
  const source = await memorySource({ audit: records.map(entryOf) })
  const findings: Finding[] = []
  const report = (finding: Finding): void => void findings.push(finding)
  const options = { namespace, privateKey, before, nowMs: () => 50_000, report, laneWaitMs: 0, ...change }
  const anchored = await anchorLog(source, options)
  return { ...anchored, findings, file: before + anchored.line }
}

function logOf(count = 4) {
  const log = createChainLog()
  for (let i = 0; i < count; i += 1) {
    log.write('group/topic/0', 0, [outcome(i)])
    log.write('group/topic/1', 1, [outcome(100 + i)])
  }
  return log
}

describe('an anchors file', () => {
  test('tells where every chain stood', async () => {
    const log = logOf()
    const { file, links } = await anchor(log.records)
    expect(links).toBe(8)
    const { anchors, codes } = read(file)
    expect(codes).toEqual([])
    expect(marksOf(anchors)).toEqual(log.marks().map((mark) => ({ ...mark, atMs: 50_000 })))
  })

  test('goes on from its last line: only what came since is read, against the anchored heads', async () => {
    const log = logOf()
    const first = await anchor(log.records)
    log.write('group/topic/0', 0, [outcome(7), outcome(8)])
    log.write('group/topic/2', 1, [outcome(9)])
    const second = await anchor(log.records, first.file)
    expect(second).toMatchObject({ links: 3, heldBack: [], findings: [] })
    const { anchors, codes } = read(second.file)
    expect(codes).toEqual([])
    expect(verifyRecords(log.records, { marks: marksOf(anchors) }).codes).toEqual([])
    expect(second.anchor.heads.map(({ seq }) => seq)).toEqual([6, 4, 1])
  })

  test('holds a chain that does not verify where it was, for good, and anchors the others', async () => {
    const log = logOf()
    const first = await anchor(log.records)
    log.write('group/topic/0', 0, [outcome(7), outcome(8)])
    log.write('group/topic/1', 1, [outcome(9)])
    const damaged = log.records.toSpliced(8, 1)
    const second = await anchor(damaged, first.file)
    expect(second.findings).toMatchObject([{ code: 'link_missing', seq: 5 }])
    expect(second.heldBack).toEqual(['group/topic/0'])
    expect(second.anchor.heads.map(({ seq }) => seq)).toEqual([4, 5])
    log.write('group/topic/0', 0, [outcome(10)])
    const third = await anchor(log.records.toSpliced(8, 1), second.file)
    expect(third.heldBack).toEqual(['group/topic/0'])
    expect(third.anchor.heads.map(({ seq }) => seq)).toEqual([4, 5])
  })

  test('is not appended to where a line is not one that the key signed', async () => {
    const log = logOf()
    const { file } = await anchor(log.records)
    const damaged = [file.slice(0, -20), file.replace('"payload":"', '"payload":"AAAA'), file + 'x\n']
    for (const before of damaged)
      await expect(anchor(log.records, before)).rejects.toMatchObject({ code: 'SHUNT_ANCHORS_DAMAGED' })
    await expect(anchor(log.records, file, { namespace: 'other' })).rejects.toThrow(
      'line 1 of the anchors is of namespace prod',
    )
  })

  test('is told when a line is missing, of another key, of another namespace, or changed', async () => {
    const log = logOf()
    const first = await anchor(log.records)
    const second = await anchor(log.records, first.file)
    const third = await anchor(log.records, second.file)
    expect(read(first.file + third.line).codes).toEqual(['anchor_out_of_line'])
    expect(read(second.line).codes).toEqual(['anchor_out_of_line'])
    expect(read(first.file, { publicKey: generateKeyPairSync('ed25519').publicKey }).codes).toEqual([
      'anchor_foreign_key',
    ])
    expect(read(first.file, { namespace: 'staging' }).codes).toEqual(['anchor_wrong_namespace'])
    expect(read('{}\n').codes).toEqual(['anchor_unreadable'])
    const other: Anchor = { ...first.anchor, atMs: 1 }
    const payload = (line: string) => (JSON.parse(line) as { payload: string }).payload
    const forged = first.line.replace(payload(first.line), payload(formatAnchor(other, privateKey)))
    expect(read(forged)).toMatchObject({ codes: ['anchor_bad_signature'], anchors: [] })
  })

  test('with any byte changed is told, and what it says is not believed', async () => {
    const { file } = await anchor(logOf(1).records)
    fc.assert(
      fc.property(fc.nat(file.length - 2), fc.integer({ min: 1, max: 127 }), (at, bits) => {
        const bytes = Buffer.from(file)
        bytes[at]! ^= bits
        const { codes, anchors } = read(bytes.toString())
        const unchanged = JSON.stringify(anchors) === JSON.stringify(read(file).anchors)
        expect(codes.length > 0 || unchanged).toBe(true)
      }),
      { numRuns: 500 },
    )
  })
})

test('only Ed25519 keys in PEM are taken', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
  expect(readPublicKey(pem, 'k.pub').equals(publicKey)).toBe(true)
  expect(() => readPrivateKey(pem, 'k')).toThrow('shunt audit keygen')
  expect(() => readPublicKey(rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString(), 'k')).toThrow(
    'no public Ed25519',
  )
})
