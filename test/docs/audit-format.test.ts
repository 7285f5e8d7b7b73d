import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { payloadType } from '#lib/audit/anchors'
import { linkHash } from '#lib/audit/chain'
import { avroType } from '#lib/events/avro-type'
import type { AuditRecord } from '#lib/events/types.generated'

const root = join(import.meta.dirname, '..', '..')
const page = readFileSync(join(root, 'docs', 'audit-format.md'), 'utf8')
const type = avroType('audit-record')
const vectors = [...page.matchAll(/^avro ([0-9a-f]+)\nhash ([0-9a-f]{64})$/gm)].map(([, avro, hash]) => ({
  bytes: Buffer.from(avro!, 'hex'),
  hash: Buffer.from(hash!, 'hex'),
}))

test('the worked example has the bytes and hashes that the product writes', () => {
  expect(vectors).toHaveLength(2)
  const links = vectors.map(({ bytes }) => type.decode(bytes).value as AuditRecord)
  for (const [i, link] of links.entries()) {
    expect(type.toBuffer(link)).toEqual(vectors[i]!.bytes)
    expect(linkHash(link)).toEqual(vectors[i]!.hash)
  }
  expect(links[1]).toMatchObject({ chainId: 'ledger/agent.control/0', epoch: 1, seq: 2, type: 'duplicate' })
  expect(links[1]!.prevHash).toEqual(vectors[0]!.hash)
})

test('every finding of a verification is explained', () => {
  const source = readFileSync(join(root, 'lib', 'audit', 'findings.ts'), 'utf8')
  const codes = [...source.slice(0, source.indexOf('export interface')).matchAll(/\| '(\w+)'/g)].map(
    ([, code]) => code!,
  )
  expect(codes.length).toBeGreaterThan(25)
  expect(codes.filter((code) => !page.includes(`\`${code}\``))).toEqual([])
})

test('the numbers of the types are those of the schema', () => {
  const schema = readFileSync(join(root, 'schemas', 'audit-record.avsc'), 'utf8')
  const { fields } = JSON.parse(schema) as { fields: { name: string; type: { symbols: string[] } }[] }
  const { symbols } = fields.find(({ name }) => name === 'type')!.type
  expect(page).toContain(symbols.map((symbol, i) => `${symbol} ${i}`).join(', '))
})

test('what is signed of an anchor has the length that is told', () => {
  expect(page).toContain(`\`DSSEv1 ${payloadType.length} ${payloadType} LENGTH PAYLOAD\``)
})
