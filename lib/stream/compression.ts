import { promisify } from 'node:util'
import { zstdCompress, zstdDecompress } from 'node:zlib'
import kafkajs from 'kafkajs'
import * as lz4 from 'lz4-napi'
import * as snappy from 'snappy'

const { CompressionCodecs, CompressionTypes } = kafkajs
const compressZstd = promisify(zstdCompress)
const decompressZstd = promisify(zstdDecompress)

/** Start of the frame that snappy-java, and so Kafka's own clients, put around blocks. */
const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const xerialHeaderBytes = 16

/** Of kafkajs: it hands in what it has encoded so far. */
interface Encoded {
  buffer: Buffer
}

/**
 * Publishers choose their compression, and kafkajs reads gzip only: one batch in another would stop a partition for ever.
 * Registered for the whole process, which is the only way that kafkajs has; we ourselves write gzip or nothing.
 */
export function registerCompression(): void {
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: ({ buffer }: Encoded) => compressZstd(buffer),
    decompress: (bytes: Buffer) => decompressZstd(bytes),
  })
  CompressionCodecs[CompressionTypes.LZ4] = () => ({
    compress: ({ buffer }: Encoded) => lz4.compressFrame(buffer),
    decompress: (bytes: Buffer) => lz4.decompressFrame(bytes),
  })
  CompressionCodecs[CompressionTypes.Snappy] = () => ({
    compress: ({ buffer }: Encoded) => snappy.compress(buffer),
    decompress: decompressSnappy,
  })
}

/**
 * Snappy as Kafka's producers write it: with snappy-java's frame, or one bare block as librdkafka writes it. Rejects
 * bytes that are neither.
 *
 * @see https://github.com/xerial/snappy-java/blob/v1.1.10.7/src/main/java/org/xerial/snappy/SnappyOutputStream.java
 */
export async function decompressSnappy(bytes: Buffer): Promise<Buffer> {
  if (!bytes.subarray(0, xerialMagic.length).equals(xerialMagic)) return decompressBlock(bytes)
  const blocks: Buffer[] = []
  for (let at = xerialHeaderBytes; at < bytes.length;) {
    const length = bytes.readInt32BE(at)
    const block = bytes.subarray(at + 4, at + 4 + length)
    if (length < 0 || block.length < length) throw new RangeError('a Snappy frame ends within a block')
    blocks.push(await decompressBlock(block))
    at += 4 + length
  }
  return Buffer.concat(blocks)
}

async function decompressBlock(block: Buffer): Promise<Buffer> {
  return Buffer.from(await snappy.uncompress(block))
}
