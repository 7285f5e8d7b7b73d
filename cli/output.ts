import type { CliContext } from './context.ts'

export type Align = 'left' | 'right'

export interface Column<Row> {
  title: string
  /** @default 'left' */
  align?: Align
  value: (row: Row) => string
}

const gap = '  '

/** Lines of a table, the title first; as wide as it must be, without lines or colours, so that grep and awk work on it. */
export function formatTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string[] {
  const cells = [
    columns.map((column) => column.title),
    ...rows.map((row) => columns.map((column) => column.value(row))),
  ]
  const widths = columns.map((_column, i) => Math.max(...cells.map((line) => line[i]!.length)))
  return cells.map((line) =>
    line
      .map((cell, i) => (columns[i]!.align === 'right' ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join(gap)
      .trimEnd(),
  )
}

/** 1_234_567 micro-USD is `$1.234567`. */
export function formatUsd(microUsd: number): string {
  return `${microUsd < 0 ? '-' : ''}$${(Math.abs(microUsd) / 1e6).toFixed(6)}`
}

/** `340 ms`, `2.4 s`, `3 min 20 s`, `5 h 10 min`, `365 d`. */
export function formatDuration(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${(ms / 1_000).toFixed(1)} s`
  if (ms < 3_599_500) return twoUnits(Math.round(ms / 1_000), 60, 'min', 's')
  if (ms < 86_370_000) return twoUnits(Math.round(ms / 60_000), 60, 'h', 'min')
  return twoUnits(Math.round(ms / 3_600_000), 24, 'd', 'h')
}

function twoUnits(count: number, perLarge: number, large: string, small: string): string {
  const rest = count % perLarge
  return `${Math.floor(count / perLarge)} ${large}${rest === 0 ? '' : ` ${rest} ${small}`}`
}

/** `73 %` of parts per million. */
export function formatPpm(ppm: number): string {
  return `${(ppm / 10_000).toFixed(1).replace(/\.0$/, '')} %`
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}

/** A time of day on its date, UTC: `2026-11-23 23:40:01.250`. */
export function formatTime(epochMs: number): string {
  return new Date(epochMs).toISOString().replace('T', ' ').replace('Z', '')
}

/** Text from elsewhere, fit for a terminal: control characters would move the cursor or hide what comes next. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '?')
}

export function writeLines({ stdout }: Pick<CliContext, 'stdout'>, lines: readonly string[]): void {
  for (const line of lines) stdout.write(`${line}\n`)
}

/** For programs: one line of JSON. */
export function writeJson({ stdout }: Pick<CliContext, 'stdout'>, value: unknown): void {
  stdout.write(`${JSON.stringify(value)}\n`)
}
