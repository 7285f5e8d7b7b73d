const magic = 0x184d2204

/**
 * Decodes an LZ4 frame, as Kafka's producers write it. Why our own? kafkajs has no LZ4, and of the packages that have,
 * one needs a compiler and the other has had no release for years; reading takes this much.
 *
 * Checksums are not compared: the broker has checked the batch's own. Throws RangeError for bytes that are no frame.
 *
 * @see https://github.com/lz4/lz4/blob/v1.10.0/doc/lz4_Frame_format.md
 * @see https://github.com/lz4/lz4/blob/v1.10.0/doc/lz4_Block_format.md
 */
export function decodeLz4Frame(frame: Buffer): Buffer {
  if (frame.readUInt32LE(0) !== magic) throw new RangeError('not an LZ4 frame')
  const flags = frame.readUInt8(4)
  const hasBlockChecksum = (flags & 0x10) !== 0
  const hasContentSize = (flags & 0x08) !== 0
  const hasDictionary = (flags & 0x01) !== 0
  if (hasDictionary) throw new RangeError('LZ4 frame with a dictionary')
  let at = 7 + (hasContentSize ? 8 : 0)
  const output = new Output(frame.length * 4)
  for (;;) {
    const size = frame.readUInt32LE(at)
    at += 4
    if (size === 0) return output.bytes()
    const length = size & 0x7fffffff
    const block = frame.subarray(at, at + length)
    if (block.length < length) throw new RangeError('LZ4 frame ends within a block')
    // The highest bit: stored as it is.
    if (size >>> 31 === 1) output.append(block, 0, length)
    else decodeBlock(block, output)
    at += length + (hasBlockChecksum ? 4 : 0)
  }
}

/** Matches may reach back into earlier blocks, so all blocks share one output. */
function decodeBlock(block: Buffer, output: Output): void {
  let at = 0
  const readLength = (nibble: number): number => {
    let length = nibble
    for (let byte = nibble === 15 ? 255 : 0; byte === 255; length += byte) byte = block.readUInt8(at++)
    return length
  }
  while (at < block.length) {
    const token = block.readUInt8(at++)
    const literals = readLength(token >> 4)
    if (at + literals > block.length) throw new RangeError('LZ4 literals end outside their block')
    output.append(block, at, literals)
    at += literals
    // The last sequence has literals only.
    if (at === block.length) return
    const distance = block.readUInt16LE(at)
    at += 2
    output.repeat(distance, readLength(token & 15) + 4)
  }
}

/** Bytes that grow, and that later ones may repeat. */
export class Output {
  #buffer: Buffer
  #length = 0

  constructor(expectedBytes: number) {
    this.#buffer = Buffer.allocUnsafe(Math.max(1_024, expectedBytes))
  }

  append(from: Buffer, start: number, length: number): void {
    this.#reserve(length)
    from.copy(this.#buffer, this.#length, start, start + length)
    this.#length += length
  }

  /** Appends `length` bytes from `distance` back; these may include bytes that it has just appended. */
  repeat(distance: number, length: number): void {
    if (distance === 0 || distance > this.#length) throw new RangeError('match reaches before the start')
    this.#reserve(length)
    const start = this.#length - distance
    for (let done = 0; done < length;) {
      const step = Math.min(length - done, distance + done)
      this.#buffer.copy(this.#buffer, this.#length + done, start, start + step)
      done += step
    }
    this.#length += length
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  #reserve(length: number): void {
    if (this.#length + length <= this.#buffer.length) return
    const grown = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + length))
    this.#buffer.copy(grown, 0, 0, this.#length)
    this.#buffer = grown
  }
}
