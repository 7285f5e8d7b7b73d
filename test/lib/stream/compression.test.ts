import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeLz4Frame } from '#lib/stream/lz4'
import { decodeSnappy } from '#lib/stream/snappy'

const lz4Header = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82])

function lz4Frame(...blocks: { bytes: Buffer; stored?: boolean }[]): Buffer {
  const parts = blocks.map(({ bytes, stored }) => {
    const size = Buffer.alloc(4)
    size.writeUInt32LE((bytes.length | (stored ? 0x80000000 : 0)) >>> 0)
    return Buffer.concat([size, bytes])
  })
  return Buffer.concat([lz4Header, ...parts, Buffer.alloc(4)])
}

describe('lz4', () => {
  test('repeats what it has just written', () => {
    // Literals "ab", then 4 + 5 bytes from 2 back; literals "xyz!!" at the end.
    const block = Buffer.from([0x25, 0x61, 0x62, 0x02, 0x00, 0x50, 0x78, 0x79, 0x7a, 0x21, 0x21])
    expect(decodeLz4Frame(lz4Frame({ bytes: block })).toString()).toBe('abababababaxyz!!')
  })

  test('reads stored blocks, and matches that reach into the block before', () => {
    const stored = Buffer.from('0123456789')
    const block = Buffer.from([0x00, 0x0a, 0x00, 0x10, 0x21])
    expect(decodeLz4Frame(lz4Frame({ bytes: stored, stored: true }, { bytes: block })).toString()).toBe(
      '01234567890123!',
    )
  })
})

describe('snappy', () => {
  test('reads literals and all three kinds of copies', () => {
    // 13 bytes: literal "abcd", copy of 4 from 4 (one byte of offset), of 3 from 2 (two bytes), of 2 from 1 (four bytes).
    const block = Buffer.from([13, 0x0c, 0x61, 0x62, 0x63, 0x64, 0x01, 0x04, 0x0a, 0x02, 0x00, 0x07, 0x01, 0, 0, 0])
    expect(decodeSnappy(block).toString()).toBe('abcdabcdcdccc')
  })

  test('reads the blocks of a frame of snappy-java', () => {
    const block = Buffer.from([2, 0x04, 0x68, 0x69])
    const length = Buffer.from([0, 0, 0, block.length])
    const header = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])
    expect(decodeSnappy(Buffer.concat([header, length, block, length, block])).toString()).toBe('hihi')
  })
})

test.each([
  ['lz4', (bytes: Buffer) => decodeLz4Frame(Buffer.concat([lz4Header, bytes]))],
  ['snappy', decodeSnappy],
] as const)('%s: garbage is a RangeError and takes no more memory than it can stand for', (_, decode) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      try {
        decode(Buffer.from(bytes))
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError)
      }
    }),
    { numRuns: 2_000 },
  )
})
