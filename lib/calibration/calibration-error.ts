/** A probability that was told, and what came of it. */
export interface Prediction {
  /** 0 to 1. */
  probability: number
  outcome: boolean
}

export interface ReliabilityBin {
  count: number
  /** Mean probability, and share of true outcomes, of its predictions. */
  predicted: number
  observed: number
}

export interface CalibrationFigures {
  count: number
  /** Share of true outcomes. */
  baseRate: number
  /** Mean over bins of |predicted − observed|, weighted by their counts. */
  ece: number
  /** Mean of (probability − outcome)². */
  brier: number
  /** 1 − Brier score / Brier score of the base rate itself: 0 knows no more than the base rate. null without variety. */
  brierSkill: number | null
  bins: ReliabilityBin[]
}

const defaultBins = 10

/**
 * Expected calibration error over bins of equal mass (Nguyen and O'Connor 2015; equal-width bins leave most of a narrow
 * forecast in one bin and hide its error), with the Brier score (1950) and its skill: a constant forecast has no error
 * of calibration and no skill either, so the one figure is worth nothing without the other.
 *
 * Predictions of equal probability count each as their mean, so that no figure hangs on the order of the file where a
 * bin ends among them. A perfectly calibrated forecast still shows an error of the order of √(bins / count).
 * null where there is no prediction.
 */
export function calibrationFigures(predictions: readonly Prediction[], bins = defaultBins): CalibrationFigures | null {
  const count = predictions.length
  if (count === 0) return null
  const sorted = predictions.toSorted((a, b) => a.probability - b.probability)
  const observed = meanOverTies(sorted)
  const baseRate = sum(predictions.map(({ outcome }) => Number(outcome))) / count
  const brier = sum(predictions.map(({ probability, outcome }) => (probability - Number(outcome)) ** 2)) / count
  const ofBaseRate = baseRate * (1 - baseRate)
  const table: ReliabilityBin[] = []
  const used = Math.min(bins, count)
  for (let bin = 0; bin < used; bin++) {
    const [from, to] = [Math.floor((bin * count) / used), Math.floor(((bin + 1) * count) / used)]
    table.push({
      count: to - from,
      predicted: sum(sorted.slice(from, to).map(({ probability }) => probability)) / (to - from),
      observed: sum(observed.slice(from, to)) / (to - from),
    })
  }
  return {
    count,
    baseRate,
    ece: sum(table.map((bin) => bin.count * Math.abs(bin.predicted - bin.observed))) / count,
    brier,
    brierSkill: ofBaseRate === 0 ? null : 1 - brier / ofBaseRate,
    bins: table,
  }
}

function meanOverTies(sorted: readonly Prediction[]): number[] {
  const means: number[] = []
  while (means.length < sorted.length) {
    const start = means.length
    let end = start
    let right = 0
    for (; sorted[end]?.probability === sorted[start]!.probability; end++) right += Number(sorted[end]!.outcome)
    for (let i = start; i < end; i++) means.push(right / (end - start))
  }
  return means
}

function sum(values: readonly number[]): number {
  let total = 0
  for (const value of values) total += value
  return total
}
