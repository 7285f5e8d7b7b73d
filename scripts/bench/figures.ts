import { writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'

/** One measured number, beside what it is held against in the same run. */
export interface Figure {
  name: string
  /** Under this name the value stands in the file of `--json` too, for a program that wants this one. */
  key?: string
  value: number
  unit: string
  /** What the figure should reach: at most, or at least. */
  target?: { atMost: number } | { atLeast: number }
  /** How it came about: counts, peers, what was held against what. */
  note?: string
}

export function reached(figure: Figure): boolean | undefined {
  if (!figure.target) return undefined
  return 'atMost' in figure.target ? figure.value <= figure.target.atMost : figure.value >= figure.target.atLeast
}

export function printFigure(figure: Figure): void {
  const target = figure.target
    ? 'atMost' in figure.target
      ? `  (at most ${show(figure.target.atMost)})`
      : `  (at least ${show(figure.target.atLeast)})`
    : ''
  const verdict = { true: 'reached', false: 'NOT REACHED', undefined: '' }[String(reached(figure)) as 'true']
  console.log(`  ${figure.name}: ${show(figure.value)} ${figure.unit}${target}  ${verdict}`.trimEnd())
  if (figure.note) console.log(`      ${figure.note}`)
}

export function writeFigures(path: string, bench: string, figures: readonly Figure[]): void {
  const machine = {
    cpus: cpus().length,
    cpu: cpus()[0]?.model,
    memoryMb: Math.round(totalmem() / 2 ** 20),
    node: process.version,
  }
  const rows = figures.map((figure) => ({ ...figure, reached: reached(figure) ?? null }))
  const byKey = Object.fromEntries(figures.flatMap(({ key, value }) => (key === undefined ? [] : [[key, value]])))
  writeFileSync(path, `${JSON.stringify({ bench, ...byKey, machine, figures: rows }, null, 2)}\n`)
}

/** Nearest-rank percentile; NaN of nothing. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}

/** How far something is at a moment. */
export interface Progress {
  count: number
  atMs: number
}

/** Per second between the first sight of 10 % and of 90 % of `total`; NaN where that cannot be told apart. */
export function middleRate(seen: readonly Progress[], total: number): number {
  const from = seen.find(({ count }) => count >= total * 0.1)
  const to = seen.find(({ count }) => count >= total * 0.9)
  if (!from || !to || to.atMs <= from.atMs) return Number.NaN
  return (to.count - from.count) / ((to.atMs - from.atMs) / 1_000)
}

function show(value: number): string {
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(3)))
}
