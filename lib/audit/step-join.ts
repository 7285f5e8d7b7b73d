import { hash } from 'node:crypto'
import { appendFileSync, closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Bytes of a key: enough of a sha256 that no two steps of a log share one. */
const keyBytes = 16
const bucketCount = 256
/** Held of a bucket before it is written; with all buckets, 8 MiB. */
const heldBytes = 32 * 1024
/** A bucket up to this is worked on in memory; a larger one is spilled again by the next byte of the key. */
const mostBucketBytes = 32 * 1024 * 1024
const lengthBytes = 4

/** The key of what belongs to one step: its own record's place tells steps of one id apart. */
export function stepKey(
  tenantId: string,
  stepId: string,
  origin: { topic: string; partition: number; offset: number } | null,
): Buffer {
  const place = origin === null ? '' : `${origin.topic}/${origin.partition}/${origin.offset}`
  return hash('sha256', `${tenantId}\n${stepId}\n${place}`, 'buffer').subarray(0, keyBytes)
}

/** Rows that come in any order, given back by key. */
export interface StepJoin extends Disposable {
  /** `key` of stepKey(), or of 16 other bytes that spread well. Both are copied. Throws what the file system throws, such as ENOSPC. */
  append(key: Buffer, row: Buffer): void
  /**
   * The rows of one key after the other, each group in the order of its append()s. May be read again, and appended to
   * between two readings.
   */
  groups(): Iterable<readonly Buffer[]>
  /** Of the last reading: groups that are but a part of their rows, since these were too many (`groupBytes`). */
  readonly parts: number
}

export interface StepJoinOptions {
  /** Most of a bucket that is worked on in memory. @default 32 MiB */
  bucketBytes?: number
  /**
   * Leading bytes of the key by which rows are grouped. Fewer than all: what is too large for memory still comes in parts,
   * by the bytes that follow. @default all 16
   */
  groupBytes?: number
}

/**
 * Joins records that lie far apart in memory that does not grow with the log: rows are spilled into buckets by their
 * key's hash, then each bucket is grouped by itself (the GRACE hash join: Kitsuregawa, Tanaka, Moto-oka, "Application of
 * hash to data base machine and its architecture", 1983). A bucket that is too large for memory is spilled again.
 *
 * The files lie in a directory of their own under the system's temporary one, readable by the owner alone, and are gone
 * with the join, at the latest when the process exits. They hold what the rows hold.
 */
export function createStepJoin(options: StepJoinOptions = {}): StepJoin {
  const dir = mkdtempSync(join(tmpdir(), 'shunt-join-'))
  const remove = (): void => rmSync(dir, { recursive: true, force: true })
  process.once('exit', remove)
  const { bucketBytes = mostBucketBytes, groupBytes = keyBytes } = options
  let parts = 0
  const level = createLevel({ dir, bucketBytes, groupBytes, onPart: () => (parts += 1) }, 0)
  return {
    append: (key, row) => level.append(key, row),
    groups() {
      parts = 0
      return level.groups()
    },
    get parts() {
      return parts
    },
    [Symbol.dispose]() {
      process.off('exit', remove)
      remove()
    },
  }
}

interface Bucket {
  held: Buffer
  used: number
  spilled: boolean
}

interface Levels extends Required<StepJoinOptions> {
  dir: string
  onPart: () => void
}

/** The buckets by the key's byte at `depth`. */
function createLevel(levels: Levels, depth: number): Pick<StepJoin, 'append' | 'groups'> & { remove(): void } {
  const { dir, bucketBytes, groupBytes } = levels
  const buckets: (Bucket | undefined)[] = Array.from({ length: bucketCount })
  const fileOf = (index: number): string => join(dir, `${depth}-${index}`)

  function write(index: number, bytes: Buffer): void {
    appendFileSync(fileOf(index), bytes, { mode: 0o600 })
  }

  function append(key: Buffer, row: Buffer): void {
    const index = key[depth]!
    const bucket = (buckets[index] ??= { held: Buffer.allocUnsafe(heldBytes), used: 0, spilled: false })
    const size = keyBytes + lengthBytes + row.length
    if (bucket.used + size > heldBytes) {
      write(index, bucket.held.subarray(0, bucket.used))
      bucket.used = 0
      bucket.spilled = true
    }
    if (size > heldBytes) bucket.held = Buffer.allocUnsafe(size)
    const { held, used } = bucket
    key.copy(held, used, 0, keyBytes)
    held.writeUInt32LE(row.length, used + keyBytes)
    row.copy(held, used + keyBytes + lengthBytes)
    bucket.used = used + size
  }

  function* groups(): Generator<readonly Buffer[]> {
    for (const [index, bucket] of buckets.entries()) {
      if (!bucket) continue
      if (!bucket.spilled) {
        yield* grouped(bucket.held.subarray(0, bucket.used))
        continue
      }
      write(index, bucket.held.subarray(0, bucket.used))
      bucket.used = 0
      yield* ofFile(fileOf(index))
    }
  }

  function* ofFile(file: string): Generator<readonly Buffer[]> {
    // One key cannot be split: the last level takes it as it is.
    if (statSync(file).size <= bucketBytes || depth === keyBytes - 1) return yield* grouped(readFileSync(file))
    const deeper = createLevel(levels, depth + 1)
    try {
      for (const { key, row } of rowsOf(file)) deeper.append(key, row)
      yield* deeper.groups()
    } finally {
      deeper.remove()
    }
  }

  function* grouped(bytes: Buffer): Generator<readonly Buffer[]> {
    for (const group of groupsIn(bytes, groupBytes)) {
      if (depth >= groupBytes) levels.onPart()
      yield group
    }
  }

  function remove(): void {
    for (const index of buckets.keys()) rmSync(fileOf(index), { force: true })
  }

  return { append, groups, remove }
}

interface KeyedRow {
  key: Buffer
  row: Buffer
}

function* rowsIn(bytes: Buffer): Generator<KeyedRow> {
  for (let at = 0; at < bytes.length;) {
    const start = at + keyBytes + lengthBytes
    const end = start + bytes.readUInt32LE(at + keyBytes)
    yield { key: bytes.subarray(at, at + keyBytes), row: bytes.subarray(start, end) }
    at = end
  }
}

function* groupsIn(bytes: Buffer, groupBytes: number): Generator<readonly Buffer[]> {
  const groups = new Map<string, Buffer[]>()
  for (const { key, row } of rowsIn(bytes)) {
    const name = key.toString('latin1', 0, groupBytes)
    const rows = groups.get(name)
    if (rows) rows.push(row)
    else groups.set(name, [row])
  }
  yield* groups.values()
}

/** A file's rows, a piece at a time. */
function* rowsOf(file: string): Generator<KeyedRow> {
  const descriptor = openSync(file, 'r')
  try {
    let rest: Buffer = Buffer.alloc(0)
    for (;;) {
      const piece = Buffer.allocUnsafe(1024 * 1024)
      const read = readSync(descriptor, piece)
      if (read === 0) return
      const bytes = Buffer.concat([rest, piece.subarray(0, read)])
      const whole = wholeRows(bytes)
      yield* rowsIn(bytes.subarray(0, whole))
      rest = bytes.subarray(whole)
    }
  } finally {
    closeSync(descriptor)
  }
}

/** How many of the bytes are rows to their end. */
function wholeRows(bytes: Buffer): number {
  let at = 0
  while (at + keyBytes + lengthBytes <= bytes.length) {
    const end = at + keyBytes + lengthBytes + bytes.readUInt32LE(at + keyBytes)
    if (end > bytes.length) break
    at = end
  }
  return at
}
