import { binOf, type ObservableName, type ReferenceHistogram } from './observables.ts'

/** A share of nothing at all would make the index infinite. */
const leastShare = 0.000_1

/**
 * Population stability index of counts against the shares of a reference: Σ (actual − expected) · ln(actual / expected)
 * over the bins, which is the symmetric form of the Kullback-Leibler divergence (Jeffreys). 0: the same distribution. By
 * custom below 0.1 nothing happened, and from 0.25 on the population is another one (N. Siddiqi, "Credit Risk
 * Scorecards", Wiley 2006, ch. 10). Half a count is added to each bin, so that an empty one says no more than a window of
 * this size can; chance alone gives about (bins − 1) / count.
 */
export function stabilityIndex(expected: readonly number[], counts: readonly number[]): number {
  let total = 0
  for (const count of counts) total += count
  let index = 0
  counts.forEach((count, bin) => {
    const actual = (count + 0.5) / (total + 0.5 * counts.length)
    const share = Math.max(leastShare, expected[bin] ?? 0)
    index += (actual - share) * Math.log(actual / share)
  })
  return index
}

/** The last steps of a stream, counted by bin of one observable. */
export interface SlidingHistogram {
  readonly name: ObservableName
  add(value: number): void
  /** Steps that are counted, at most the window. */
  size(): number
  /** Against the reference. */
  index(): number
}

/** Constant work a step: the bin of the step that leaves the window is remembered. */
export function createSlidingHistogram(reference: ReferenceHistogram, window: number): SlidingHistogram {
  const counts = Array.from({ length: reference.edges.length + 1 }, () => 0)
  const bins = new Uint8Array(window)
  let seen = 0
  return {
    name: reference.name,
    add(value) {
      const slot = seen % window
      if (seen >= window) counts[bins[slot]!]! -= 1
      bins[slot] = binOf(reference.edges, value)
      counts[bins[slot]]! += 1
      seen += 1
    },
    size: () => Math.min(seen, window),
    index: () => stabilityIndex(reference.shares, counts),
  }
}
