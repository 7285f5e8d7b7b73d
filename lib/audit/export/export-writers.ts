import type { AuditEntry } from '#lib/audit/source'
import type { ExportFile } from './parquet-file.ts'
import { createTableWriter, type TableWriter } from './table-writer.ts'
import {
  auditColumns,
  bodyColumns,
  feedbackColumns,
  policyColumns,
  resultColumns,
  type BodyRow,
  type BodyTable,
} from './tables.ts'

/** Row groups of all tables that wait for the disk: with many partitions each one's must be smaller. */
const maxHeldBytes = 24 * 1024 * 1024

export interface ExportWritersOptions {
  dir: string
  createdBy: string
  maxFileBytes?: number | undefined
}

export type ExportWriters = ReturnType<typeof createExportWriters>

/** The tables of an export, each begun with its first row. */
export function createExportWriters({ dir, createdBy, maxFileBytes }: ExportWritersOptions) {
  // Each has rows of a type of its own; as a whole they are only flushed and closed.
  const all: { table: string; writer: Omit<TableWriter<never>, 'add'> }[] = []
  const partitions = new Map<number, TableWriter<AuditEntry>>()
  const bodies = new Map<string, TableWriter<BodyRow>>()
  const at = { dir, createdBy, maxFileBytes }
  let held = 0

  function opened<Row>(table: string, writer: TableWriter<Row>): TableWriter<Row> {
    all.push({ table, writer })
    return writer
  }

  async function flush(writer: Omit<TableWriter<never>, 'add'>): Promise<void> {
    held -= writer.heldBytes()
    await writer.flush()
  }

  return {
    results: opened('results', createTableWriter({ ...at, table: 'results', columns: resultColumns })),
    feedback: opened('feedback', createTableWriter({ ...at, table: 'feedback', columns: feedbackColumns })),
    policies: opened('policies', createTableWriter({ ...at, table: 'policies', columns: policyColumns })),
    audit(partition: number): TableWriter<AuditEntry> {
      const writer =
        partitions.get(partition) ??
        opened('audit', createTableWriter({ ...at, table: 'audit', prefix: `p${partition}-`, columns: auditColumns }))
      partitions.set(partition, writer)
      return writer
    },
    bodies(body: BodyTable): TableWriter<BodyRow> {
      const { table } = body
      const writer = bodies.get(table) ?? opened(table, createTableWriter({ ...at, table, columns: bodyColumns(body) }))
      bodies.set(table, writer)
      return writer
    },
    /** One row; `bytes` is about what it takes in memory. Waits for the disk where enough is held. */
    async put<Row>(writer: TableWriter<Row>, row: Row, bytes: number): Promise<void> {
      writer.add(row, bytes)
      held += bytes
      if (writer.isFull()) await flush(writer)
      if (held < maxHeldBytes) return
      const [largest] = all.toSorted((a, b) => b.writer.heldBytes() - a.writer.heldBytes())
      if (largest) await flush(largest.writer)
    },
    async finish(): Promise<{ files: ExportFile[]; rows: Record<string, number> }> {
      const files: ExportFile[] = []
      const rows: Record<string, number> = {}
      for (const { table, writer } of all)
        for (const file of await writer.finish()) {
          files.push(file)
          rows[table] = (rows[table] ?? 0) + file.rows
        }
      return { files, rows }
    },
    async abandon(): Promise<void> {
      await Promise.allSettled(all.map(({ writer }) => writer.abandon()))
    },
  }
}
