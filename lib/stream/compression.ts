import { promisify } from 'node:util'
import { zstdCompress, zstdDecompress } from 'node:zlib'
import kafkajs from 'kafkajs'
import { decodeLz4Frame } from './lz4.ts'
import { decodeSnappy } from './snappy.ts'

const { CompressionCodecs, CompressionTypes } = kafkajs
const compressZstd = promisify(zstdCompress)
const decompressZstd = promisify(zstdDecompress)

/**
 * Publishers choose their compression, and kafkajs reads gzip only: one batch in another would stop a partition for ever.
 * Registered for the whole process, which is the only way that kafkajs has; we ourselves write gzip or nothing.
 */
export function registerCompression(): void {
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: ({ buffer }: { buffer: Buffer }) => compressZstd(buffer),
    decompress: (buffer: Buffer) => decompressZstd(buffer),
  })
  CompressionCodecs[CompressionTypes.LZ4] = () => readOnly('LZ4', decodeLz4Frame)
  CompressionCodecs[CompressionTypes.Snappy] = () => readOnly('Snappy', decodeSnappy)
}

function readOnly(name: string, decode: (bytes: Buffer) => Buffer) {
  return {
    compress: () => Promise.reject(new Error(`${name} is read, not written`)),
    decompress: (bytes: Buffer) => Promise.resolve(decode(bytes)),
  }
}
