import { open, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { parquetMetadataAsync, parquetReadObjects, type AsyncBuffer, type RowGroup } from 'hyparquet'
import { damaged } from './manifest.ts'
import type { ExportFile } from './parquet-file.ts'

export type Row = Record<string, unknown>

/** One row group that is not read yet. */
export interface Group {
  /** Least and greatest of a column of whole numbers, by the file's own statistics. */
  bounds: (column: string) => { min: number; max: number } | null
  read: () => Promise<Row[]>
}

/**
 * The row groups of files, one after the other; a file is checked and opened when its first group is asked for. A group
 * can be read until the next one is asked for. Throws SHUNT_EXPORT_DAMAGED.
 */
export async function* readGroups(
  dir: string,
  files: readonly ExportFile[],
  check: (file: ExportFile) => Promise<void>,
): AsyncGenerator<Group> {
  for (const file of files) {
    await check(file)
    const path = join(dir, file.path)
    await using handle = await open(path)
    const unreadable = (error: unknown): never => {
      throw damaged(path, `it cannot be read as Parquet (${String(error)})`, error)
    }
    const buffer = bufferOf(handle, file.bytes)
    const metadata = await parquetMetadataAsync(buffer).catch(unreadable)
    let rowStart = 0
    for (const group of metadata.row_groups) {
      const rows = Number(group.num_rows)
      const range = { rowStart, rowEnd: rowStart + rows }
      yield {
        bounds: (column) => boundsOf(group, column),
        // Bytes that are no text stay bytes.
        read: () =>
          parquetReadObjects({ file: buffer, metadata, ...range, compressors, utf8: false }).catch(unreadable),
      }
      rowStart += rows
    }
  }
}

const compressors = { ZSTD: (input: Uint8Array) => zstdDecompressSync(input) }

function bufferOf(handle: FileHandle, byteLength: number): AsyncBuffer {
  return {
    byteLength,
    async slice(start, end = byteLength) {
      const bytes = new Uint8Array(end - start)
      let filled = 0
      while (filled < bytes.length) {
        const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, start + filled)
        if (bytesRead === 0) throw new Error('the file ends too early')
        filled += bytesRead
      }
      return bytes.buffer
    },
  }
}

function boundsOf({ columns }: RowGroup, column: string): { min: number; max: number } | null {
  const statistics = columns.find(({ meta_data }) => meta_data?.path_in_schema[0] === column)?.meta_data?.statistics
  if (statistics?.min_value === undefined || statistics.max_value === undefined) return null
  return { min: Number(statistics.min_value), max: Number(statistics.max_value) }
}

/** Groups of several sequences as one, always the one that begins earliest: as a log's partitions grew, about. */
export async function* mergeByTime(sequences: readonly AsyncGenerator<Group>[]): AsyncGenerator<Group> {
  const heads: { sequence: AsyncGenerator<Group>; group: Group; atMs: number }[] = []
  async function advance(sequence: AsyncGenerator<Group>): Promise<void> {
    const { value: group, done } = await sequence.next()
    if (!done) heads.push({ sequence, group, atMs: group.bounds('timestampMs')?.min ?? -Infinity })
  }
  try {
    for (const sequence of sequences) await advance(sequence)
    for (;;) {
      const earliest = heads.reduce<(typeof heads)[number] | undefined>(
        (least, head) => (least === undefined || head.atMs < least.atMs ? head : least),
        undefined,
      )
      if (!earliest) return
      yield earliest.group
      heads.splice(heads.indexOf(earliest), 1)
      await advance(earliest.sequence)
    }
  } finally {
    for (const sequence of sequences) await sequence.return(undefined)
  }
}
