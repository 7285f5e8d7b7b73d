import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Column } from './columns.ts'
import { createParquetFile, type ExportFile, type ParquetFile } from './parquet-file.ts'

/** Rows of one row group: what is held in memory, on writing and on reading. */
const maxGroupRows = 2_000
const maxGroupBytes = 4 * 1024 * 1024
/** A file is closed, and the next begun, once it is larger. */
const maxFileBytes = 256 * 1024 * 1024
/** Or has so many: what its footer tells of each column of each group is held as long as the file is open. */
const maxFileGroups = 100

export interface TableOptions<Row> {
  /** The export's directory. */
  dir: string
  /** Within it. */
  table: string
  /** In front of the file's number. @default '' */
  prefix?: string
  columns: readonly Column<Row>[]
  createdBy: string
  maxFileBytes?: number | undefined
}

/** A table that grows by rows: row groups of bounded size, files of bounded size. */
export interface TableWriter<Row> {
  /** `bytes`: about what the row takes in memory. */
  add: (row: Row, bytes: number) => void
  /** A row group is complete and wants to be flushed. */
  isFull: () => boolean
  /** Bytes that wait for the next flush. */
  heldBytes: () => number
  flush: () => Promise<void>
  /** Every file of the table, in the order of the rows. */
  finish: () => Promise<ExportFile[]>
  abandon: () => Promise<void>
}

export function createTableWriter<Row>(options: TableOptions<Row>): TableWriter<Row> {
  const { dir, table, prefix = '', columns, createdBy } = options
  const files: ExportFile[] = []
  let open: { file: ParquetFile; path: string; groups: number } | null = null
  let values: unknown[][] = columns.map(() => [])
  let rows = 0
  let held = 0

  async function begin(): Promise<NonNullable<typeof open>> {
    const path = `${table}/${prefix}${String(files.length).padStart(8, '0')}.parquet`
    await mkdir(join(dir, table), { recursive: true })
    return { file: await createParquetFile(join(dir, path), columns, createdBy), path, groups: 0 }
  }

  async function end(): Promise<void> {
    if (!open) return
    const { file, path } = open
    open = null
    files.push({ path, ...(await file.finish()) })
  }

  async function flush(): Promise<void> {
    if (rows === 0) return
    open ??= await begin()
    const group = values
    values = columns.map(() => [])
    rows = 0
    held = 0
    await open.file.writeGroup(group)
    open.groups += 1
    if (open.groups >= maxFileGroups || open.file.bytes() >= (options.maxFileBytes ?? maxFileBytes)) await end()
  }

  return {
    add(row, bytes) {
      for (const [i, { of }] of columns.entries()) values[i]!.push(of(row) ?? null)
      rows += 1
      held += bytes
    },
    isFull: () => rows >= maxGroupRows || held >= maxGroupBytes,
    heldBytes: () => held,
    flush,
    async finish() {
      await flush()
      await end()
      return files
    },
    abandon: async () => open?.file.abandon(),
  }
}
