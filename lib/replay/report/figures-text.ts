import { nameOfDifference, type Difference } from '../diff/difference.ts'
import type { ChangedSide } from '../diff/changed-step.ts'
import type { Cost } from '../diff/redecision.ts'

/** Texts of figures, for the page and for the terminal. */

/** `$1.2345`: cents are what a reader compares; less than that has the digits that it needs. */
export function usd(microUsd: number): string {
  const sign = microUsd < 0 ? '-' : ''
  const dollars = Math.abs(microUsd) / 1e6
  const digits = dollars >= 100 || dollars === 0 ? 2 : dollars >= 0.01 ? 4 : 6
  return `${sign}$${dollars.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })}`
}

export function signedUsd(microUsd: number): string {
  return microUsd > 0 ? `+${usd(microUsd)}` : usd(microUsd)
}

export function count(value: number): string {
  return value.toLocaleString('en-US')
}

/** `1 decision`, `1,200 decisions`. */
export function counted(value: number, one: string): string {
  return `${count(value)} ${one}${value === 1 ? '' : 's'}`
}

/** `12.3 %` of a whole; of nothing, nothing. */
export function share(part: number, whole: number): string {
  return whole === 0 ? '' : `${((100 * part) / whole).toFixed(1).replace(/\.0$/, '')} %`
}

export function percentPpm(ppm: number | null): string {
  return ppm === null ? 'none' : share(ppm, 1e6)
}

/** `+12 %` of what was; `new` where that was nothing. */
export function change(before: number, after: number): string {
  if (before === after) return 'unchanged'
  if (before === 0) return 'new'
  const percent = (100 * (after - before)) / before
  return `${percent > 0 ? '+' : ''}${percent.toFixed(1)} %`
}

/** A number of right answers, more or less. */
export function signedAnswers(value: number): string {
  return `${value > 0 ? '+' : ''}${decimal(value)}`
}

export function decimal(value: number): string {
  return value.toLocaleString('en-US', { minimumFractionDigits: 1, maximumFractionDigits: 1 })
}

export function sideText({ standing, model }: ChangedSide): string {
  return model === null ? standing : `${standing} ${model}`
}

export function costText({ microUsd, basis }: Cost): string {
  if (basis === 'none') return '$0'
  return basis === 'recorded' ? usd(microUsd) : `${usd(microUsd)} (${basis})`
}

/** What made the difference, in words. */
export function differenceText(difference: Difference): string {
  switch (difference.kind) {
    case 'term':
      return `${difference.name} ${percentPpm(difference.beforePpm)} → ${percentPpm(difference.afterPpm)}`
    case 'score':
      return `score ${difference.name} ${percentPpm(difference.beforePpm)} → ${percentPpm(difference.afterPpm)}`
    case 'removed':
      return `${difference.model} removed: ${difference.reason}`
    case 'permitted':
      return `${difference.model} no longer removed: ${difference.reason}`
    case 'scale':
      return `threshold on ${difference.before} → ${difference.after}`
    case 'rule':
      return `rule ${difference.before ?? 'none'} → ${difference.after ?? 'none'}`
    case 'code':
      return `${difference.before ?? 'routed'} → ${difference.after ?? 'routed'}`
    case 'models':
      return nameOfDifference(difference)
  }
}
