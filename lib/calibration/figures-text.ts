import type { Interval } from './bootstrap.ts'

/** `0.653`. */
export function formatApgr(value: number): string {
  return value.toFixed(3)
}

/** `35.4 %` of 0.354. */
export function formatShare(share: number): string {
  return `${(share * 100).toFixed(1)} %`
}

/** `0.653 [0.640, 0.667]`, the interval left out where there is none or it is the value itself. */
export function withInterval(value: number, interval: Interval | null, format: (value: number) => string): string {
  if (!interval || interval.low === interval.high) return format(value)
  return `${format(value)} [${format(interval.low)}, ${format(interval.high)}]`
}
