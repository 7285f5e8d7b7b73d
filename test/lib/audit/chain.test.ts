import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import fc from 'fast-check'
import { createChain, epochStart, formatHead, linkHash, parseHead } from '#lib/audit/chain'
import type { AuditRecord } from '#lib/events/types.generated'
import type { AuditDraft } from '#lib/stream/types'

const links: AuditRecord[] = []
const chain = createChain({
  topic: 'agent.audit',
  encode: (link) => {
    links.push(link)
    return Buffer.from(String(links.length - 1))
  },
})
const sealed = (records: { value: Buffer | null }[]) =>
  records.map((record) => links[Number(record.value!.toString())]!)
const draft: fc.Arbitrary<AuditDraft> = fc.record({
  type: fc.constantFrom('decision' as const, 'outcome' as const),
  body: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
})

describe('audit chain', () => {
  test('each link names the hash of the one before, from zero bytes on', () => {
    fc.assert(
      fc.property(fc.array(draft, { minLength: 1, maxLength: 8 }), (drafts) => {
        const chained = sealed(chain.seal('g/t/0', null, drafts).records)
        let before: Buffer = Buffer.alloc(32)
        chained.forEach((link, index) => {
          expect(link).toMatchObject({ chainId: 'g/t/0', epoch: 1, seq: index + 1 })
          expect(link.prevHash).toEqual(before)
          before = linkHash(link)
        })
      }),
    )
  })

  test('sealing in two transactions gives the chain of one', () => {
    fc.assert(
      fc.property(fc.array(draft, { minLength: 1, maxLength: 8 }), fc.nat(8), (drafts, cut) => {
        const whole = chain.seal('c', null, drafts)
        const first = chain.seal('c', null, drafts.slice(0, cut))
        const second = chain.seal('c', first.head, drafts.slice(cut))
        expect(second.head).toBe(whole.head)
        expect(sealed([...first.records, ...second.records])).toEqual(sealed(whole.records))
      }),
    )
  })

  test('the hash covers every field and tells where one ends', () => {
    const link: AuditRecord = {
      chainId: 'ab',
      epoch: 1,
      seq: 2,
      prevHash: Buffer.alloc(32, 7),
      type: 'decision',
      body: Buffer.from('xyz'),
    }
    const changed: AuditRecord[] = [
      { ...link, chainId: 'a' },
      { ...link, epoch: 2 },
      { ...link, seq: 3 },
      { ...link, prevHash: Buffer.alloc(32, 8) },
      { ...link, type: 'outcome' },
      { ...link, body: Buffer.from('xyz0') },
    ]
    const hashes = [link, ...changed].map((each) => linkHash(each).toString('hex'))
    expect(new Set(hashes).size).toBe(hashes.length)
  })

  test('the hashed bytes are those of the documented format', () => {
    const link: AuditRecord = {
      chainId: 'c',
      epoch: 3,
      seq: 9,
      prevHash: Buffer.alloc(32),
      type: 'attempt',
      body: Buffer.from([1, 2]),
    }
    const hex =
      Buffer.from('shunt-audit-1\n').toString('hex') +
      '00000001' +
      '63' +
      '0000000000000003' +
      '0000000000000009' +
      '00'.repeat(32) +
      '00000007' +
      Buffer.from('attempt').toString('hex') +
      '00000002' +
      '0102'
    expect(linkHash(link)).toEqual(createHash('sha256').update(Buffer.from(hex, 'hex')).digest())
  })

  test('a head survives its text form, and other text is refused', () => {
    const head = { epoch: 4, seq: 12, hash: Buffer.alloc(32, 5) }
    expect(parseHead(formatHead(head))).toEqual(head)
    expect(parseHead(formatHead(epochStart(2)))).toEqual(epochStart(2))
    for (const text of ['', '1.2', '1.2.zz', 'x.2.' + Buffer.alloc(32).toString('base64url')])
      expect(() => parseHead(text)).toThrow('not the head')
  })
})
