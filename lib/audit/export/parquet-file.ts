import { createHash } from 'node:crypto'
import { open, type FileHandle } from 'node:fs/promises'
import { constants, zstdCompressSync } from 'node:zlib'
import type { SchemaElement } from 'hyparquet'
import { ByteWriter, ParquetWriter, type ColumnSource } from 'hyparquet-writer'
import type { Column, ColumnKind } from './columns.ts'

/** A file of an export, as its manifest names it. */
export interface ExportFile {
  /** Within the export's directory, with slashes. */
  path: string
  rows: number
  bytes: number
  /** Hex. */
  sha256: string
}

/** 3 is zstd's own default; each level above costs more time than it saves bytes here. */
const zstdLevel = 3

export interface ParquetFile {
  /** Written so far. */
  bytes: () => number
  /** One row group, on disk when it resolves. A column's values, in the columns' order. */
  writeGroup: (values: readonly unknown[][]) => Promise<void>
  /** Footer, and fsync. */
  finish: () => Promise<{ rows: number; bytes: number; sha256: string }>
  /** Closes it as it is, where it will not be finished. */
  abandon: () => Promise<void>
}

/** A new file, which must not exist. Memory is that of one row group, whatever the file's size. */
export async function createParquetFile<Row>(
  path: string,
  columns: readonly Column<Row>[],
  createdBy: string,
): Promise<ParquetFile> {
  const handle = await open(path, 'wx')
  const sink = new FileSink(handle)
  const parquet = new ParquetWriter({
    writer: sink,
    schema: schemaOf(columns),
    codec: 'ZSTD',
    compressors: { ZSTD: (input) => zstdCompressSync(input, zstdOptions) },
    createdBy,
  })
  let rows = 0
  return {
    bytes: () => sink.offset,
    async writeGroup(values) {
      const count = values[0]?.length ?? 0
      rows += count
      const columnData = columns.map(({ name, kind }, i) => ({ name, data: values[i]!, ...storage[kind] }))
      await parquet.write({ columnData, rowGroupSize: count })
    },
    async finish() {
      await parquet.finish()
      await sink.flush()
      await handle.sync()
      await handle.close()
      return { rows, bytes: sink.offset, sha256: sink.digest() }
    },
    abandon: () => handle.close(),
  }
}

const zstdOptions = { params: { [constants.ZSTD_c_compressionLevel]: zstdLevel } }

/** The library's buffer of bytes, emptied into a file, and hashed, after each row group. */
class FileSink extends ByteWriter {
  readonly #handle: FileHandle
  readonly #hash = createHash('sha256')

  constructor(handle: FileHandle) {
    super(1024 * 1024)
    this.#handle = handle
  }

  async flush(): Promise<void> {
    const bytes = new Uint8Array(this.buffer, 0, this.index)
    this.#hash.update(bytes)
    // `writeFile` of a handle goes on where the last one ended, until all is written.
    await this.#handle.writeFile(bytes)
    this.index = 0
  }

  digest(): string {
    return this.#hash.digest('hex')
  }
}

/** Numbers that mostly grow lie as differences; bytes are hashes and bodies, of which no two are alike. */
const storage: Record<ColumnKind, Pick<ColumnSource, 'encoding' | 'statistics'>> = {
  boolean: {},
  int32: {},
  int64: { encoding: 'DELTA_BINARY_PACKED' },
  string: {},
  binary: { encoding: 'PLAIN', statistics: false },
  strings: {},
}

function schemaOf<Row>(columns: readonly Column<Row>[]): SchemaElement[] {
  return [{ name: 'root', num_children: columns.length }, ...columns.flatMap(elementsOf)]
}

function elementsOf<Row>({ name, kind, nullable }: Column<Row>): SchemaElement[] {
  const repetition_type = nullable ? 'OPTIONAL' : 'REQUIRED'
  switch (kind) {
    case 'boolean':
      return [{ name, type: 'BOOLEAN', repetition_type }]
    case 'int32':
      return [{ name, type: 'INT32', repetition_type }]
    case 'int64':
      return [{ name, type: 'INT64', repetition_type }]
    case 'string':
      return [{ name, type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type }]
    case 'binary':
      return [{ name, type: 'BYTE_ARRAY', repetition_type }]
    case 'strings':
      return [
        { name, converted_type: 'LIST', num_children: 1, repetition_type },
        { name: 'list', num_children: 1, repetition_type: 'REPEATED' },
        { name: 'element', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' },
      ]
  }
}
