/** How a column's values lie in Parquet. Times and money are whole numbers, with their unit in the column's name. */
export type ColumnKind = 'boolean' | 'int32' | 'int64' | 'string' | 'binary' | 'strings'

export interface Column<Row> {
  name: string
  kind: ColumnKind
  nullable: boolean
  /** Null or undefined where the row has none. */
  of: (row: Row) => unknown
}

/** A column of a table: `column('offset', 'int64', (entry) => entry.offset)`. */
export function column<Row>(name: string, kind: ColumnKind, of: (row: Row) => unknown): Column<Row> {
  return { name, kind, nullable: false, of }
}

/** One that may be null. */
export function nullable<Row>(name: string, kind: ColumnKind, of: (row: Row) => unknown): Column<Row> {
  return { name, kind, nullable: true, of }
}
