import { Output } from './lz4.ts'

/** Start of the frame that snappy-java, and so Kafka's own clients, put around blocks. */
const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const xerialHeaderBytes = 16

/**
 * Decodes Snappy as Kafka's producers write it: with snappy-java's frame, or one bare block as librdkafka writes it.
 * Throws RangeError for bytes that are neither.
 *
 * @see https://github.com/google/snappy/blob/1.2.1/format_description.txt
 * @see https://github.com/xerial/snappy-java/blob/v1.1.10.7/src/main/java/org/xerial/snappy/SnappyOutputStream.java
 */
export function decodeSnappy(bytes: Buffer): Buffer {
  if (!bytes.subarray(0, xerialMagic.length).equals(xerialMagic)) return decodeBlock(bytes)
  const blocks: Buffer[] = []
  for (let at = xerialHeaderBytes; at < bytes.length;) {
    const length = bytes.readInt32BE(at)
    at += 4
    const block = bytes.subarray(at, at + length)
    if (length < 0 || block.length < length) throw new RangeError('Snappy frame ends within a block')
    blocks.push(decodeBlock(block))
    at += length
  }
  return Buffer.concat(blocks)
}

function decodeBlock(block: Buffer): Buffer {
  let at = 0
  let size = 0
  for (let unit = 1, byte = 128; byte >= 128; unit *= 128) {
    byte = block.readUInt8(at++)
    size += (byte & 127) * unit
  }
  if (size > 0xffffffff) throw new RangeError('not a Snappy block')
  // A block says its size, but may lie: no more is reserved than it can become.
  const output = new Output(Math.min(size, block.length * 64))
  while (at < block.length) {
    const tag = block.readUInt8(at++)
    const upper = tag >> 2
    switch (tag & 3) {
      case 0: {
        const extra = upper < 60 ? 0 : upper - 59
        const length = (extra === 0 ? upper : block.readUIntLE(at, extra)) + 1
        at += extra
        if (at + length > block.length) throw new RangeError('Snappy literal ends outside its block')
        output.append(block, at, length)
        at += length
        break
      }
      case 1:
        output.repeat(((tag >> 5) << 8) | block.readUInt8(at), (upper & 7) + 4)
        at += 1
        break
      case 2:
        output.repeat(block.readUInt16LE(at), upper + 1)
        at += 2
        break
      default:
        output.repeat(block.readUInt32LE(at), upper + 1)
        at += 4
    }
  }
  const decoded = output.bytes()
  if (decoded.length !== size) throw new RangeError(`Snappy block of ${size} bytes gave ${decoded.length}`)
  return decoded
}
