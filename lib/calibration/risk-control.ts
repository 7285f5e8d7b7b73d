import { ShuntError } from '#lib/errors'
import { gainOfAll, gainOfNone, toGainPpm } from './frontier-threshold.ts'
import { gainGot } from './scored-step.ts'
import { seededRandom, shuffled } from './seeded-random.ts'

/** A labelled step with the gain that a scorer gave it which was not trained on it. */
export interface HeldOutStep {
  gain: number
  oss: boolean
  frontier: boolean
}

export interface AccuracyLossGoal {
  /** Most accuracy that may be lost against all-frontier, 0 to 1, over all steps: 0.01 is one answer in a hundred. */
  maxLoss: number
  /** Probability, over the draw of the labels, that the promise holds. 0.95, for instance. */
  confidence: number
  /** Order in which the labels are tested. Another one may certify a little more or less: to try several voids it. */
  seed: number
}

export interface CertifiedThreshold {
  gainPpm: number
  frontierShare: number
  /** Accuracy lost against all-frontier on the labels themselves. */
  observedLoss: number
  /** Labels that the test was made with. */
  labels: number
}

/** Thresholds that are tested, fixed before any label is seen: every quarter of a percentage point of gain. */
const gridStepPpm = 2_500

/**
 * The highest threshold of which it is certified that keeping the steps below it on the open model loses at most
 * `maxLoss` of the accuracy of all-frontier: E[(frontier − oss) · 1{kept}] ≤ maxLoss with probability ≥ `confidence`.
 * Nothing is assumed of the scorer or of how gains are distributed, only that the labels are independent draws of the
 * steps to come and that the scorer has not seen them. A step that only the open model gets right counts for it.
 *
 * How: learn then test (Angelopoulos, Bates, Candès, Jordan, Lei 2021, arXiv:2110.01052) by fixed-sequence testing. The
 * thresholds of a fixed grid are tested from the safest, all escalate, upwards; the first that is not certified ends it,
 * so each is tested at the full level. The p-value of "the loss is above maxLoss" is that of the betting test of
 * Waudby-Smith and Ramdas (2024, JRSS B 86:1, arXiv:2010.09686), with the bets of Bates et al. (2021, JACM 68:6,
 * arXiv:2101.02703, section 3.1.3), written for a loss in [−1, 1]. Hoeffding's and Bentkus's bounds, rescaled to that
 * range, do not use that most losses are 0.
 *
 * Throws SHUNT_LABELS_TOO_FEW where the labels certify no step on the open model, with an estimate of how many would,
 * and SHUNT_CONFIG_INVALID for a loss or confidence that is no share: no number of labels certifies a loss of 0.
 */
export function thresholdForAccuracyLoss(
  steps: readonly HeldOutStep[],
  { maxLoss, confidence, seed }: AccuracyLossGoal,
): CertifiedThreshold {
  if (!(maxLoss > 0 && maxLoss < 1 && confidence > 0 && confidence < 1))
    throw new ShuntError('SHUNT_CONFIG_INVALID', 'accuracy loss and confidence must lie between 0 and 1')
  const level = 1 - confidence
  const inOrder = shuffled(steps, seededRandom(seed)).map((step) => ({
    gainPpm: toGainPpm(step.gain),
    loss: gainGot(step),
  }))
  const needed = leastLabels(maxLoss, level)
  if (steps.length < needed)
    throw tooFew(steps.length, goalText(maxLoss, confidence), `at least ${needed}, even if none of them shows a loss`)

  const gainsPpm = inOrder.map(({ gainPpm }) => gainPpm).toSorted((a, b) => a - b)
  let certified = gainOfAll
  let keptBefore = 0
  for (let gainPpm = gainOfAll; gainPpm <= gainOfNone; gainPpm += gridStepPpm) {
    const kept = countBelow(gainsPpm, gainPpm)
    // The same steps kept are the same test.
    if (kept > keptBefore) {
      const losses = inOrder.map((step) => (step.gainPpm < gainPpm ? step.loss : 0))
      if (pValue(losses, maxLoss, level) > level) break
    }
    keptBefore = kept
    certified = gainPpm
  }

  const kept = inOrder.filter(({ gainPpm }) => gainPpm < certified)
  if (kept.length === 0)
    throw tooFew(steps.length, goalText(maxLoss, confidence), estimateNeeded(inOrder, maxLoss, level, needed))
  return {
    gainPpm: certified,
    frontierShare: 1 - kept.length / steps.length,
    observedLoss: kept.reduce((sum, { loss }) => sum + loss, 0) / steps.length,
    labels: steps.length,
  }
}

/**
 * p-value of the hypothesis that losses in [−1, 1], drawn independently, have a mean above `mean`. A gambler bets on
 * each loss to lie below it, with a share of the wealth that the losses before have set; under the hypothesis wealth is
 * a supermartingale from 1, so it ever reaches 1 / p with probability ≤ p (Ville). The bets are tuned for a test at `level`
 * and are valid for any. A share of 1 at most never loses all: a loss of 1 leaves `mean` of the wealth.
 */
export function pValue(losses: readonly number[], mean: number, level: number): number {
  let logWealth = 0
  let highest = 0
  let sum = 0
  let squares = 0
  // A mean of 0 and a variance of ¼ stand for one observation before the first.
  let variance = 1 / 4
  for (const [i, loss] of losses.entries()) {
    const bet = Math.min(1, Math.sqrt((2 * Math.log(1 / level)) / (losses.length * variance)))
    logWealth += Math.log1p(bet * (mean - loss))
    highest = Math.max(highest, logWealth)
    sum += loss
    const running = sum / (i + 2)
    squares += (loss - running) ** 2
    variance = (1 / 4 + squares) / (i + 2)
  }
  return Math.exp(-highest)
}

/** The fewest labels that certify anything: all of them without a loss. */
export function leastLabels(maxLoss: number, level: number): number {
  let [few, many] = [0, 1]
  const certifies = (count: number): boolean => pValue(Array<number>(count).fill(0), maxLoss, level) <= level
  while (!certifies(many)) [few, many] = [many, many * 2]
  while (many - few > 1) {
    const middle = (few + many) >> 1
    if (certifies(middle)) many = middle
    else few = middle
  }
  return many
}

/** Share of steps, those of the lowest gain, that one would at least want on the open model. */
const usefulShare = 0.1

/** The bets reach their goal when n ≈ 2 log(1/level) · variance / margin². */
function estimateNeeded(
  steps: readonly { gainPpm: number; loss: number }[],
  maxLoss: number,
  level: number,
  least: number,
): string {
  const sorted = steps.toSorted((a, b) => a.gainPpm - b.gainPpm)
  const kept = sorted.slice(0, Math.max(1, Math.ceil(usefulShare * steps.length)))
  const mean = kept.reduce((sum, { loss }) => sum + loss, 0) / steps.length
  const variance = kept.reduce((sum, { loss }) => sum + loss ** 2, 0) / steps.length - mean ** 2
  const margin = maxLoss - mean
  const share = `${usefulShare * 100} % of the steps on the open model`
  if (margin <= 0) return `the loss with ${share} is above that on these labels: allow more, or improve the scorer`
  const estimate = Math.max(least, Math.ceil((2 * Math.log(1 / level) * variance) / margin ** 2))
  if (estimate <= steps.length) return `the steps of lowest gain show losses of their own: improve the scorer`
  return `about ${estimate} to keep ${share}`
}

function tooFew(count: number, goal: string, needed: string): ShuntError {
  return new ShuntError('SHUNT_LABELS_TOO_FEW', `${count} labels cannot certify ${goal}: ${needed}`)
}

function goalText(maxLoss: number, confidence: number): string {
  return `an accuracy loss of ${maxLoss} at most with confidence ${confidence}`
}

function countBelow(sorted: readonly number[], limit: number): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (sorted[middle]! < limit) low = middle + 1
    else high = middle
  }
  return low
}
