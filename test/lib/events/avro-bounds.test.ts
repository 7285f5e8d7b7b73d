import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { boundsOf, maxExactLong } from '#lib/events/avro-bounds'
import { avroTypeOf } from '#lib/events/avro-type'
import type { AvroNode } from '#lib/events/schemas'

const array: AvroNode = { type: 'array', items: 'string' }
const map: AvroNode = { type: 'map', values: 'long' }
const walk = (schema: AvroNode, bytes: number[]): number => boundsOf(avroTypeOf(schema))(Buffer.from(bytes), 0)

/** Zig-zag varint. */
function long(value: number): number[] {
  const bytes: number[] = []
  for (let n = BigInt(value) * 2n; n > 0n || bytes.length === 0; n >>= 7n) bytes.push(Number(n & 127n) | 128)
  bytes[bytes.length - 1]! &= 127
  return bytes
}

describe('bytes that would keep a decoder busy', () => {
  test.each([
    ['an array of 2^40 items', array, long(2 ** 40), 'more items than there are bytes'],
    ['an array of 2^31 items', array, [...long(2 ** 31), 0], 'more items than there are bytes'],
    ['a map of 2^31 entries', map, long(2 ** 31), 'more items than there are bytes'],
    ['2^40 items that take no bytes', { type: 'array', items: 'null' }, long(2 ** 40), 'more items'],
    ['a block with a negative size', array, [1, 1, 0], 'a size that its bytes do not hold'],
    ['a block with a size beyond the end', array, [1, 20, 0], 'a size that its bytes do not hold'],
    ['a block that is shorter than it says', array, [1, 4, 0, 0, 0], 'not as long as it says'],
    ['an integer without an end', 'long', Array.from({ length: 20 }, () => 255), 'more than 64 bits'],
    ['an int of 33 bits', 'int', long(2 ** 32), 'more than 32 bits'],
    ['a long beyond what is exact', 'long', long(2 ** 52 + 2), 'beyond 2^52'],
    ['the smallest long', 'long', [...Array.from({ length: 9 }, () => 255), 1], 'beyond 2^52'],
    ['a string of negative length', 'string', [1], 'negative length'],
    ['a string beyond the end', 'string', [8, 65], 'end in the middle'],
    ['a double that is cut', 'double', [0, 0, 0], 'end in the middle'],
    ['a union branch that does not exist', ['null', 'int'], [4], 'union branch 2'],
    ['a negative union branch', ['null', 'int'], [1], 'union branch -1'],
  ] satisfies [string, AvroNode, number[], string][])('%s', (_what, schema, bytes, message) => {
    expect(() => walk(schema, bytes)).toThrow(message)
  })
})

const everything: AvroNode = {
  type: 'record',
  name: 'Everything',
  fields: [
    { name: 'b', type: 'boolean' },
    { name: 'i', type: 'int' },
    { name: 'l', type: 'long' },
    { name: 'f', type: 'float' },
    { name: 'd', type: 'double' },
    { name: 's', type: 'string' },
    { name: 'y', type: 'bytes' },
    { name: 'x', type: { type: 'fixed', name: 'Five', size: 5 } },
    { name: 'e', type: { type: 'enum', name: 'E', symbols: ['p', 'q'] } },
    { name: 'a', type: { type: 'array', items: ['null', 'string'] } },
    { name: 'm', type: { type: 'map', values: 'long' } },
    { name: 'next', type: ['null', 'Everything'] },
  ],
}

test('every value that avsc writes is walked to its end, recursive ones too', () => {
  const type = avroTypeOf(everything)
  const bounds = boundsOf(type)
  const any = fc.record({
    b: fc.boolean(),
    i: fc.integer(),
    l: fc.integer({ min: -maxExactLong, max: maxExactLong }),
    f: fc.float({ noNaN: true }),
    d: fc.double({ noNaN: true }),
    s: fc.string({ unit: 'binary' }),
    y: fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    x: fc.constant(Buffer.from('12345')),
    e: fc.constantFrom('p', 'q'),
    a: fc.array(fc.option(fc.string())),
    m: fc.dictionary(fc.string(), fc.integer()),
  })
  fc.assert(
    fc.property(any, any, (outer, inner) => {
      const bytes = type.toBuffer({ ...outer, next: { ...inner, next: null } })
      expect(bounds(bytes, 0)).toBe(bytes.length)
      expect(() => bounds(bytes.subarray(0, -1), 0)).toThrow(RangeError)
    }),
  )
})
