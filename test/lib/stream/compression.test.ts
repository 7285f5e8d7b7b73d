import kafkajs from 'kafkajs'
import { describe, expect, test } from 'vitest'
import { decompressSnappy, registerCompression } from '#lib/stream/compression'

interface Codec {
  compress: (encoder: { buffer: Buffer }) => Promise<Buffer>
  decompress: (bytes: Buffer) => Promise<Buffer>
}

registerCompression()
const codecs = kafkajs.CompressionCodecs as unknown as Record<number, () => Codec>
const { LZ4, Snappy, ZSTD } = kafkajs.CompressionTypes

describe.each([
  ['LZ4', LZ4],
  ['Snappy', Snappy],
  ['zstd', ZSTD],
])('%s', (_name, type) => {
  const codec = codecs[type]!()

  test('reads what it wrote', async () => {
    const buffer = Buffer.from('a claim, a claim, and yet another claim; '.repeat(5_000))
    const compressed = await codec.compress({ buffer })
    expect(compressed.length).toBeLessThan(buffer.length / 10)
    expect(await codec.decompress(compressed)).toEqual(buffer)
  })

  test('rejects garbage', async () => {
    await expect(codec.decompress(Buffer.from('this is nothing that was ever compressed'))).rejects.toBeInstanceOf(
      Error,
    )
  })
})

test('LZ4 is read in the frame that Kafka writes: a stored block, no content size', async () => {
  const frame = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82, 2, 0, 0, 0x80, 0x68, 0x69, 0, 0, 0, 0])
  expect((await codecs[LZ4]!().decompress(frame)).toString()).toBe('hi')
})

test("Snappy is read in snappy-java's frame of blocks, and one that is cut is refused", async () => {
  const block = Buffer.from([2, 0x04, 0x68, 0x69])
  const length = Buffer.from([0, 0, 0, block.length])
  const header = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])
  const frame = Buffer.concat([header, length, block, length, block])
  expect((await decompressSnappy(frame)).toString()).toBe('hihi')
  await expect(decompressSnappy(frame.subarray(0, -1))).rejects.toThrow('ends within a block')
})
