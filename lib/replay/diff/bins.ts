/** Counts of a number in equal bins; what lies outside counts in the outermost. */
export interface Bins {
  from: number
  to: number
  counts: number[]
}

export function createBins(from: number, to: number, count: number): Bins {
  return { from, to, counts: Array.from({ length: count }, () => 0) }
}

export function addToBins(bins: Bins, value: number): void {
  const at = Math.floor(((value - bins.from) / (bins.to - bins.from)) * bins.counts.length)
  bins.counts[Math.min(bins.counts.length - 1, Math.max(0, at))]! += 1
}

/** Where the bin begins that holds the quantile, so that a round value comes out as it went in; null of nothing. */
export function quantileOfBins({ from, to, counts }: Bins, share: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0)
  if (total === 0) return null
  let below = 0
  const at = counts.findIndex((count) => (below += count) >= share * total)
  return from + (at * (to - from)) / counts.length
}
