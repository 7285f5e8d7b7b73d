import { pipeline, Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'

const gzipMagic = Buffer.from([0x1f, 0x8b])

/** The bytes as they are, or unpacked where they begin as gzip does: no text does, and a name may lie. */
export async function* gunzipped(bytes: AsyncIterable<Uint8Array | string>): AsyncGenerator<Uint8Array | string> {
  const chunks = bytes[Symbol.asyncIterator]()
  try {
    const head: Buffer[] = []
    let length = 0
    while (length < gzipMagic.length) {
      const next = await chunks.next()
      if (next.done) break
      const chunk = Buffer.from(next.value as Uint8Array)
      head.push(chunk)
      length += chunk.length
    }
    const first = Buffer.concat(head)
    const all = prefixed(first, chunks)
    if (!first.subarray(0, gzipMagic.length).equals(gzipMagic)) {
      yield* all
      return
    }
    // What the source throws destroys the unpacker with the same error, which its reader then sees.
    yield* pipeline(Readable.from(all), createGunzip(), () => undefined)
  } finally {
    await chunks.return?.()
  }
}

async function* prefixed(first: Buffer, rest: AsyncIterator<Uint8Array | string>): AsyncGenerator<Uint8Array | string> {
  if (first.length > 0) yield first
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value
}
