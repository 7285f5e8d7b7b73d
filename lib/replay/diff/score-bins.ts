import { addToBins, createBins, quantileOfBins, type Bins } from './bins.ts'
import type { Redecision, Side } from './redecision.ts'

type Scale = 'p_success' | 'gain'

/** First attempts that a threshold decides now, by what it is held against. */
export interface ScoreBins {
  scale: Scale
  decisions: number
  /** That stay with their tier, or have another than the two; and that move between them. */
  stayed: Bins
  toFrontier: Bins
  toOss: Bins
  /** Thresholds that applied, terms included: the middle one, and those that a tenth of them lie below and above. */
  before: Thresholds | null
  after: Thresholds | null
}

export interface Thresholds {
  p10Ppm: number
  medianPpm: number
  p90Ppm: number
}

export interface ScoreBinning {
  add(redecision: Redecision): void
  /** Of each scale that something was decided on. */
  all(): ScoreBins[]
}

const binCount = 40
/** A tenth of a percent each, or finer: what a reader compares with the policy. */
const thresholdBins = 2_000

export function createScoreBinning(): ScoreBinning {
  const scales = new Map<Scale, ReturnType<typeof emptyScale>>()
  return {
    add({ before, after, decision }) {
      if (!after || decision.record.attempt !== 1 || after.outcome.rule !== null) return
      const scale = scaleOf(after)
      const value = scale === 'gain' ? after.gainPpm : after.pSuccessPpm
      if (scale === null || value === null) return
      let bins = scales.get(scale)
      if (!bins) scales.set(scale, (bins = emptyScale(scale)))
      bins.decisions += 1
      addToBins(bins.after, after.outcome.thresholdPpm)
      if (scaleOf(before) === scale && before.outcome.rule === null) addToBins(bins.before, before.outcome.thresholdPpm)
      const moved = before.standing !== after.standing
      const to = !moved || (after.standing !== 'frontier' && after.standing !== 'oss') ? 'stayed' : after.standing
      addToBins(bins[to === 'stayed' ? 'stayed' : to === 'frontier' ? 'toFrontier' : 'toOss'], value)
    },
    all: () =>
      (['gain', 'p_success'] as const)
        .flatMap((scale) => scales.get(scale) ?? [])
        .map((bins) => ({
          ...bins,
          before: thresholdsOf(bins.before),
          after: thresholdsOf(bins.after),
        })),
  }
}

function scaleOf({ outcome }: Side): Scale | null {
  return outcome.action === 'route' && outcome.thresholdOn !== 'unknown' ? outcome.thresholdOn : null
}

function emptyScale(scale: Scale) {
  const from = scale === 'gain' ? -1e6 : 0
  const bins = (count: number) => createBins(from, 1e6, count)
  return {
    scale,
    decisions: 0,
    stayed: bins(binCount),
    toFrontier: bins(binCount),
    toOss: bins(binCount),
    before: bins(thresholdBins),
    after: bins(thresholdBins),
  }
}

function thresholdsOf(bins: Bins): Thresholds | null {
  const medianPpm = quantileOfBins(bins, 0.5)
  if (medianPpm === null) return null
  return { p10Ppm: quantileOfBins(bins, 0.1)!, medianPpm, p90Ppm: quantileOfBins(bins, 0.9)! }
}
