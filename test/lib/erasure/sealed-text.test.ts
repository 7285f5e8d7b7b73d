import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { CompactEncrypt, compactDecrypt } from 'jose'
import { expect, test } from 'vitest'
import { dataKeyOf } from '#lib/erasure/data-keys'
import { isSealed, keyIdOf, openWith, sealWith, type TextPlace } from '#lib/erasure/sealed-text'

const bytes = randomBytes(32)
const key = await dataKeyOf('k1', bytes)
const place: TextPlace = { tenantId: 'acme', stepId: 's-1', field: 'request' }
const anyText = fc.string({ unit: 'binary', maxLength: 400 })
const unreadable = { code: 'SHUNT_TEXT_UNREADABLE', retryable: false }

test('a sealed text opens to the very text, whatever it is, and shows nothing of it', () =>
  fc.assert(
    fc.asyncProperty(anyText, fc.string({ unit: 'binary', minLength: 1 }), async (text, stepId) => {
      const there = { ...place, stepId }
      const sealed = await sealWith(key, there, text)
      expect(isSealed(sealed)).toBe(true)
      expect(keyIdOf(sealed, there)).toBe('k1')
      expect(await openWith(key, there, sealed)).toBe(text)
    }),
    { numRuns: 200 },
  ))

test('the same text in the same place gives the same bytes; another text, place or key others, to the vector', async () => {
  const vectorOf = (sealed: string) => sealed.split('.')[2]
  const first = await sealWith(key, place, 'yes')
  expect(await sealWith(key, place, 'yes')).toBe(first)
  const other = [
    await sealWith(key, place, 'no'),
    await sealWith(key, { ...place, stepId: 's-2' }, 'yes'),
    await sealWith(await dataKeyOf('k1', randomBytes(32)), place, 'yes'),
  ]
  expect(new Set([first, ...other].map(vectorOf)).size).toBe(4)
})

test('a sealed text is moved to no other tenant, step or field', () =>
  fc.assert(
    fc.asyncProperty(
      fc.constantFrom<[keyof TextPlace, string]>(['tenantId', 'globex'], ['stepId', 's-2'], ['field', 'answer']),
      anyText,
      async ([name, value], text) => {
        const sealed = await sealWith(key, place, text)
        const elsewhere: TextPlace = { ...place, [name]: value }
        expect(() => keyIdOf(sealed, elsewhere)).toThrow(expect.objectContaining(unreadable))
        // Nor with a header that says otherwise: it is authenticated.
        const header = Buffer.from(JSON.stringify({ alg: 'dir', enc: 'A256GCM', kid: 'k1', ...elsewhere }))
        const forged = [header.toString('base64url'), ...sealed.split('.').slice(1)].join('.')
        await expect(openWith(key, elsewhere, forged)).rejects.toMatchObject(unreadable)
      },
    ),
    { numRuns: 60 },
  ))

test('another key does not open it, nor does the key once a single character was changed', async () => {
  const sealed = await sealWith(key, place, '{"messages":[]}')
  await expect(openWith(await dataKeyOf('k1', randomBytes(32)), place, sealed)).rejects.toMatchObject(unreadable)
  await fc.assert(
    fc.asyncProperty(fc.nat(sealed.length - 1), async (at) => {
      const changed = sealed.slice(0, at) + (sealed[at] === 'A' ? 'B' : 'A') + sealed.slice(at + 1)
      // The last character of a part may have bits that no byte has.
      const before = sealed.split('.').map((part) => Buffer.from(part, 'base64url').toString('hex'))
      const after = changed.split('.').map((part) => Buffer.from(part, 'base64url').toString('hex'))
      fc.pre(before.join('.') !== after.join('.'))
      await expect(openWith(key, place, changed)).rejects.toMatchObject(unreadable)
    }),
  )
})

test.each([
  ['no JWE', 'eyJ'],
  ['four parts', 'eyJhIjoxfQ.a.b.c'],
  ['a signed token', 'eyJhbGciOiJIUzI1NiJ9.e30.c2ln'],
])('what begins as a JWE and is none is refused: %s', (_name, text) => {
  expect(() => keyIdOf(text, place)).toThrow(expect.objectContaining(unreadable))
})

test('other algorithms, a missing key id and compression are refused before a key is touched', async () => {
  const seal = (header: object, cek: Uint8Array = bytes) =>
    new CompactEncrypt(Buffer.from('{}'))
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: 'k1', ...place, ...header })
      .encrypt(cek)
  for (const sealed of [
    await seal({ alg: 'A256KW' }),
    await seal({ enc: 'A256CBC-HS512' }, randomBytes(64)),
    await seal({ kid: undefined }),
    await seal({ zip: 'DEF' }),
  ])
    expect(() => keyIdOf(sealed, place)).toThrow(expect.objectContaining(unreadable))
})

test('any JOSE library opens it with the key, and what it seals with a random vector opens here', async () => {
  const { plaintext, protectedHeader } = await compactDecrypt(await sealWith(key, place, 'prompt'), bytes)
  expect(Buffer.from(plaintext).toString()).toBe('prompt')
  expect(protectedHeader).toEqual({ alg: 'dir', enc: 'A256GCM', kid: 'k1', ...place })
  const theirs = await new CompactEncrypt(Buffer.from('prompt'))
    .setProtectedHeader({ field: 'request', stepId: 's-1', tenantId: 'acme', kid: 'k1', enc: 'A256GCM', alg: 'dir' })
    .encrypt(bytes)
  expect(await openWith(key, place, theirs)).toBe('prompt')
})

test.each(['{"messages":[]}', ' {}', '', '[]', '"eyJ"'])('%j is plain', (text) => {
  expect(isSealed(text)).toBe(false)
})
