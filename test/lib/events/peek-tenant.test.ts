import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { peekJsonString } from '#lib/events/json-peek'
import { peekTenant } from '#lib/events/peek-tenant'
import { localCodec } from '../../support/local-codec.ts'
import { anyStep } from './arbitrary.ts'

const json = (value: unknown) => ({ value: Buffer.from(JSON.stringify(value)), headers: {} })
const none = { peekString: () => null }

describe('the tenant of a published step, peeked at', () => {
  test('is the one of the outermost object, wherever others are named', () => {
    const nested = { tools: [{ tenantId: 'forged', text: '"tenantId":"forged" \\' }] }
    expect(peekTenant(json({ request: nested, tenantId: 'acme', metadata: { tenantId: 'forged' } }), none)).toBe('acme')
    expect(peekTenant(json({ request: nested, metadata: { tenantId: 'forged' } }), none)).toBeNull()
    expect(peekTenant(json([{ tenantId: 'forged' }]), none)).toBeNull()
  })

  test('is the last of two, as the parser has it', () => {
    const value = Buffer.from('{ "tenantId" : "first" , "x": 1, "tenantId"\n:\t"last" }')
    expect(peekTenant({ value, headers: {} }, none)).toBe('last')
    expect(JSON.parse(value.toString())).toMatchObject({ tenantId: 'last' })
  })

  test.each([
    ['a name that is written with an escape', '{"tenant\\u0049d":"hidden","tenantId":"shown"}'],
    ['a value with an escape', '{"tenantId":"a\\u0063me"}'],
    ['a value that is no tenant id', '{"tenantId":"a b"}'],
    ['a value that is no string', '{"tenantId":7}'],
    ['a text that ends within a string', '{"tenantId":"acme'],
    ['a text that ends within a name', '{"tenantId'],
    ['nothing', ''],
  ])('is none for %s', (_, text) => {
    const headers = { 'content-type': 'application/json' }
    expect(peekTenant({ value: Buffer.from(text), headers }, none)).toBeNull()
  })

  test('of any JSON text is what the parser finds, or none', () => {
    const key = fc.oneof(fc.constantFrom('tenantId', 'stepId', 'tenant"Id', '\\'), fc.string())
    fc.assert(
      fc.property(fc.dictionary(key, fc.jsonValue()), fc.integer({ min: 0, max: 2 }), (value, indent) => {
        const text = JSON.stringify(value, null, indent)
        const found = peekJsonString(Buffer.from(text), 'tenantId')
        const { tenantId } = JSON.parse(text) as Record<string, unknown>
        if (found !== null) expect(found).toBe(tenantId)
        // Plain texts hide nothing from it.
        else if (!text.includes('\\')) expect(typeof tenantId).not.toBe('string')
      }),
      { numRuns: 500 },
    )
  })

  test('of an Avro value is what the decoder finds', async () => {
    const codec = await localCodec()
    fc.assert(
      fc.property(anyStep, (step) => {
        const value = codec.encode('step', step)
        expect(codec.peekString('step', 'tenantId', value)).toBe(Buffer.from(step.tenantId).toString())
        expect(codec.peekString('step', 'request', value)).toBe(Buffer.from(step.request).toString())
        expect(codec.peekString('step', 'kind', value)).toBe(step.kind)
      }),
      { numRuns: 100 },
    )
  })

  test('is none for bytes of an unknown schema, cut-off bytes, and any others', async () => {
    const codec = await localCodec()
    const read = (value: Buffer) => peekTenant({ value, headers: {} }, codec)
    expect(read(Buffer.from([0, 0, 0, 3, 231, 2, 97, 2, 97, 2, 97]))).toBeNull()
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        expect(() => read(Buffer.from(bytes))).not.toThrow()
        expect(() => read(Buffer.from([0, 0, 0, 0, 1, ...bytes]))).not.toThrow()
      }),
      { numRuns: 500 },
    )
  })
})
