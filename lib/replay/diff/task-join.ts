import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

export interface TaskRow {
  /** What the body is: one character of the writer's choice. */
  tag: string
  partition: number
  offset: number
  body: Buffer
}

export interface TaskGroup {
  rows: readonly TaskRow[]
  /** False where a task is so large that its steps come in several groups. */
  whole: boolean
}

export interface TaskJoin extends Disposable {
  append(taskHash: number, stepHash: number, row: TaskRow): void
  /** Each task's rows together; tasks of equal hash come in one group. May be read again, with what was appended since. */
  groups(): Generator<TaskGroup>
  /** Groups are read of so many files, one after another. */
  readonly partitions: number
  readonly partitionsRead: number
}

export interface TaskJoinOptions {
  /** Of this join alone: its files are made and removed here. */
  dir: string
  /** Largest partition that is read into memory. @default 16 MiB */
  maxPartitionBytes?: number
  /** Rows that wait to be written, per partition. @default 64 KiB */
  blockBytes?: number
}

export const taskJoinDefaults = { maxPartitionBytes: 16 * 2 ** 20, blockBytes: 64 * 2 ** 10 } satisfies Omit<
  Required<TaskJoinOptions>,
  'dir'
>

/** length, task's hash, step's hash, tag, partition, offset. */
const headerBytes = 4 + 4 + 4 + 1 + 4 + 8
const fanOut = 64
/** Bits of a hash that tell a partition's number: the highest, then the ones below. */
const fanOutBits = 6

/**
 * Rows of one task brought together in constant memory: a partitioned hash join (Grace hash join; Kitsuregawa et al.
 * 1983). Rows go to files by the hash of their task; each file is then small enough to be grouped in memory. One that is
 * not is divided again, by more bits of that hash, and in the end by the hash of the step: a task of a million steps
 * comes in parts.
 */
export function createTaskJoin(options: TaskJoinOptions): TaskJoin {
  return createLevel({ ...taskJoinDefaults, ...options }, 0)
}

/** By task, by more of the task, by step. */
const lastLevel = 2

interface Partition {
  block: Buffer
  used: number
  file: number | null
  path: string
  bytes: number
}

function createLevel(options: Required<TaskJoinOptions>, level: number): TaskJoin {
  const { dir, maxPartitionBytes, blockBytes } = options
  const byStep = level === lastLevel
  const shift = 32 - fanOutBits * (byStep ? 1 : level + 1)
  const partitions = Array.from({ length: fanOut }, (_, i): Partition => {
    return { block: Buffer.allocUnsafe(0), used: 0, file: null, path: join(dir, `${level}-${i}`), bytes: 0 }
  })
  let partitionsRead = 0

  function flush(partition: Partition): void {
    if (partition.used === 0) return
    partition.file ??= openSync(partition.path, 'w+', 0o600)
    writeAll(partition.file, partition.block.subarray(0, partition.used), partition.bytes)
    partition.bytes += partition.used
    partition.used = 0
  }

  function roomFor(partition: Partition, length: number): number {
    if (partition.used + length > partition.block.length) {
      flush(partition)
      if (partition.block.length < length) partition.block = Buffer.allocUnsafe(Math.max(blockBytes, length))
    }
    const at = partition.used
    partition.used += length
    return at
  }

  /** A row as it was framed before: between levels. */
  function appendFrame(frame: Buffer): void {
    const hash = frame.readUInt32LE(byStep ? 8 : 4)
    const partition = partitions[(hash >>> shift) % fanOut]!
    const at = roomFor(partition, frame.length)
    frame.copy(partition.block, at)
  }

  function* groupsOf(partition: Partition): Generator<TaskGroup> {
    const size = partition.bytes + partition.used
    if (size === 0) return
    if (size > maxPartitionBytes && level < lastLevel) {
      flush(partition)
      partition.block = Buffer.allocUnsafe(0)
      using below = createLevel(options, level + 1) as TaskJoin & { appendFrame: typeof appendFrame }
      for (const frame of readFrames(partition.file!, partition.bytes)) below.appendFrame(frame)
      yield* below.groups()
      return
    }
    const bytes = Buffer.allocUnsafe(size)
    if (partition.file !== null) readAll(partition.file, bytes.subarray(0, partition.bytes), 0)
    partition.block.copy(bytes, partition.bytes, 0, partition.used)
    const groups = new Map<number, TaskRow[]>()
    for (let at = 0; at < size; at += bytes.readUInt32LE(at)) {
      const key = bytes.readUInt32LE(at + 4)
      const rows = groups.get(key)
      if (rows) rows.push(rowAt(bytes, at))
      else groups.set(key, [rowAt(bytes, at)])
    }
    for (const rows of groups.values()) yield { rows, whole: !byStep }
  }

  const made = {
    append(taskHash: number, stepHash: number, { tag, partition: of, offset, body }: TaskRow): void {
      const hash = byStep ? stepHash : taskHash
      const partition = partitions[(hash >>> shift) % fanOut]!
      const length = headerBytes + body.length
      const at = roomFor(partition, length)
      const { block } = partition
      block.writeUInt32LE(length, at)
      block.writeUInt32LE(taskHash, at + 4)
      block.writeUInt32LE(stepHash, at + 8)
      block.writeUInt8(tag.charCodeAt(0), at + 12)
      block.writeInt32LE(of, at + 13)
      block.writeDoubleLE(offset, at + 17)
      body.copy(block, at + headerBytes)
    },
    appendFrame,
    *groups(): Generator<TaskGroup> {
      partitionsRead = 0
      for (const partition of partitions) {
        yield* groupsOf(partition)
        partitionsRead += 1
      }
    },
    partitions: fanOut,
    get partitionsRead() {
      return partitionsRead
    },
    [Symbol.dispose](): void {
      for (const { file, path } of partitions) {
        if (file === null) continue
        closeSync(file)
        rmSync(path, { force: true })
      }
    },
  }
  return made
}

function rowAt(bytes: Buffer, at: number): TaskRow {
  return {
    tag: String.fromCharCode(bytes.readUInt8(at + 12)),
    partition: bytes.readInt32LE(at + 13),
    offset: bytes.readDoubleLE(at + 17),
    body: bytes.subarray(at + headerBytes, at + bytes.readUInt32LE(at)),
  }
}

/** Each row of a file in its frame, of which a mebibyte is in memory; a frame holds until the next is asked for. */
function* readFrames(file: number, size: number): Generator<Buffer> {
  let chunk = Buffer.allocUnsafe(2 ** 20)
  for (let at = 0; at < size;) {
    const length = Math.min(chunk.length, size - at)
    readAll(file, chunk.subarray(0, length), at)
    let inChunk = 0
    while (inChunk + 4 <= length) {
      const frame = chunk.readUInt32LE(inChunk)
      if (inChunk + frame > length) break
      yield chunk.subarray(inChunk, inChunk + frame)
      inChunk += frame
    }
    if (inChunk === 0) chunk = Buffer.allocUnsafe(2 * chunk.length)
    at += inChunk
  }
}

function writeAll(file: number, bytes: Buffer, position: number): void {
  for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done, bytes.length - done, position + done)
}

function readAll(file: number, into: Buffer, position: number): void {
  for (let done = 0; done < into.length;) {
    const read = readSync(file, into, done, into.length - done, position + done)
    if (read === 0) throw new Error('a file of the join ends too early: something else wrote to it')
    done += read
  }
}
