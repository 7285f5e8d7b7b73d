/** Counts of numbers, in ppm, in equal bins; what lies outside counts in the outermost. */
export interface Bins {
  fromPpm: number
  toPpm: number
  counts: number[]
}

export function createBins(fromPpm: number, toPpm: number, count: number): Bins {
  return { fromPpm, toPpm, counts: Array.from({ length: count }, () => 0) }
}

export function addToBins({ fromPpm, toPpm, counts }: Bins, ppm: number): void {
  const at = Math.floor(((ppm - fromPpm) / (toPpm - fromPpm)) * counts.length)
  counts[Math.min(counts.length - 1, Math.max(0, at))]! += 1
}

/** Where the bin begins that holds the quantile, so that a round value comes out as it went in; null of nothing. */
export function quantileOfBins({ fromPpm, toPpm, counts }: Bins, share: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0)
  if (total === 0) return null
  let below = 0
  const at = counts.findIndex((count) => (below += count) >= share * total)
  return fromPpm + (at * (toPpm - fromPpm)) / counts.length
}
