export interface Line {
  /** From 1. */
  number: number
  /** Undefined for a line above the limit: its bytes were passed over. */
  text: string | undefined
}

const newline = 0x0a

/** Lines of a stream of bytes in constant memory: a line above `maxBytes` is counted and not kept. */
export async function* readLines(bytes: AsyncIterable<Uint8Array | string>, maxBytes: number): AsyncGenerator<Line> {
  let parts: Buffer[] = []
  let length = 0
  let number = 1

  const take = (part: Buffer): void => {
    length += part.length
    if (length <= maxBytes) parts.push(part)
    else parts = []
  }
  const line = (): Line => {
    const text = length > maxBytes ? undefined : Buffer.concat(parts).toString()
    parts = []
    length = 0
    return { number: number++, text }
  }

  for await (const chunk of bytes) {
    const buffer =
      typeof chunk === 'string' ? Buffer.from(chunk) : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
    let start = 0
    for (let end = buffer.indexOf(newline); end >= 0; end = buffer.indexOf(newline, start)) {
      take(buffer.subarray(start, end))
      yield line()
      start = end + 1
    }
    if (start < buffer.length) take(buffer.subarray(start))
  }
  if (length > 0) yield line()
}
