import { ShuntError } from '#lib/errors'
import type { Progress } from './offset-tracker.ts'

/**
 * Largest metadata of an offset commit, characters. The broker refuses more than `offset.metadata.max.bytes`, 4,096 by
 * default; the rest is left for a broker that sets less.
 */
export const maxMetadataBytes = 3_500

/** Kept with the progress: where the lane's audit chain stands. Opaque here; ASCII, no spaces. */
export interface Committed extends Progress {
  head: string | null
}

/** Characters of a head that lanes leave room for: epoch, seq and a sha256 take 80. */
const maxHeadBytes = 140
/** Bytes that the varints may take, so that with base64 and the head they stay below the limit. */
export const maxVarintBytes = Math.floor(((maxMetadataBytes - maxHeadBytes - 4) * 3) / 4)

const version = '1'

/**
 * `1 <base64> <head>`: the varints of `upTo - low`, then of the distance from each incomplete offset to the one before,
 * the first from `low`. Why varints and no bit set? Deltas are mostly 1 to 127: 1,000 incomplete offsets took 2,745
 * characters, and a bit set grows with the span, which one slow record makes as long as the log.
 *
 * Throws SHUNT_PROGRESS_TOO_LARGE above `maxMetadataBytes`.
 */
export function encodeProgress(committed: Committed): string {
  const deltas = [committed.upTo - committed.low]
  let before = committed.low
  for (const offset of committed.incomplete) {
    deltas.push(offset - before)
    before = offset
  }
  const text = `${version} ${varints(deltas).toString('base64')} ${committed.head ?? ''}`
  if (text.length > maxMetadataBytes)
    throw new ShuntError(
      'SHUNT_PROGRESS_TOO_LARGE',
      `${committed.incomplete.length} incomplete offsets take ${text.length} of ${maxMetadataBytes} characters`,
    )
  return text
}

/**
 * Throws SHUNT_METADATA_UNKNOWN for what encodeProgress() did not write: a later version's, or a commit made by another
 * program, which knows neither what is incomplete nor the chain's head. Guessing would lose or repeat work.
 */
export function decodeProgress(low: number, metadata: string | null): Committed {
  const parts = (metadata ?? '').split(' ')
  const [found, encoded, head] = parts
  if (found !== version || encoded === undefined || head === undefined || parts.length !== 3) throw unknown(metadata)
  const [span, ...deltas] = readVarints(Buffer.from(encoded, 'base64'), metadata)
  if (span === undefined) throw unknown(metadata)
  let at = low
  const incomplete = deltas.map((delta) => (at += delta))
  if (deltas.includes(0) || (deltas.length > 0 && at >= low + span)) throw unknown(metadata)
  return { low, upTo: low + span, incomplete, head: head === '' ? null : head }
}

/** Of a lane that never ran: nothing is done from `low` on, and there is no chain yet. */
export function initialProgress(low: number): Committed {
  return { low, upTo: low, incomplete: [], head: null }
}

function unknown(metadata: string | null): ShuntError {
  return new ShuntError(
    'SHUNT_METADATA_UNKNOWN',
    `the offset was committed with ${JSON.stringify((metadata ?? '').slice(0, 40))}, which this version did not write; ` +
      'run the version that did, or `shunt lanes recover`',
  )
}

function varints(values: readonly number[]): Buffer {
  const bytes: number[] = []
  for (let value of values) {
    while (value >= 128) {
      bytes.push((value % 128) | 128)
      value = Math.floor(value / 128)
    }
    bytes.push(value)
  }
  return Buffer.from(bytes)
}

function readVarints(bytes: Buffer, metadata: string | null): number[] {
  const values: number[] = []
  let value = 0
  let unit = 1
  for (const byte of bytes) {
    value += (byte & 127) * unit
    unit *= 128
    if (!Number.isSafeInteger(value)) throw unknown(metadata)
    if (byte >= 128) continue
    values.push(value)
    value = 0
    unit = 1
  }
  if (unit !== 1) throw unknown(metadata)
  return values
}
