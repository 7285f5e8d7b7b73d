import { formatShare } from './figures-text.ts'
import { gainGot, withBothOutcomes, type ScoredStep } from './scored-step.ts'
import { gainPpmOf, escalates, type ThresholdSet } from './thresholds.ts'

const million = 1_000_000

export interface ConfidenceThreshold {
  minConfidencePpm: number
  /** Of the answers that the decision leaves to the open model. */
  rejectedShare: number
  /** Where the number comes from, as a sentence. */
  origin: string
}

/** A fitted curve of fewer answers follows single ones. */
const leastAnswers = 200
/** What is rejected must be enough to tell a mean by. */
const leastRejected = 30
/** One-sided 95 % of the normal distribution. */
const quantile95 = 1.645

/** An answer of the open model that the decision would have left to it. */
interface Answer {
  confidencePpm: number
  /**
   * What asking the frontier model too would have got (gainGot), less what the step's threshold asks of an escalation;
   * in ppm, so that sums are exact and in whatever order the same.
   */
  worth: number
}

/** Answers from a confidence on, up to the next block's. */
interface Block {
  fromPpm: number
  sum: number
  count: number
}

/**
 * The confidence below which an open answer is asked of the frontier model after all: where that gets at least what the
 * threshold of the decision asks of any escalation, since the answer costs the same now as it would have before. Looked at
 * are the answers that the decision leaves to the open model, the only ones that the pool will see.
 *
 * What is got at a confidence is fitted by isotonic regression (pool adjacent violators; Barlow et al. 1972), which
 * assumes no more than that the surer answer needs the other model less. Rejected is what the fit has above the asked
 * gain, and only where the mean of those answers is above it by a one-sided 95 % bound (normal, so at least 30 of
 * them). As the same labels choose and test, the bound is a little sure of itself. The reason as text where there is none.
 */
export function confidenceThreshold(
  steps: readonly ScoredStep[],
  thresholds: ThresholdSet,
  confidencePpmOf: ReadonlyMap<string, number>,
): ConfidenceThreshold | string {
  const answers = withBothOutcomes(steps).flatMap((step): Answer[] => {
    const confidencePpm = confidencePpmOf.get(step.id)
    if (confidencePpm === undefined || escalates(thresholds, step)) return []
    return [{ confidencePpm, worth: million * gainGot(step) - gainPpmOf(thresholds, step) }]
  })
  if (answers.length < leastAnswers)
    return `${answers.length} labels with both outcomes and a confidence stay with the open model; ${leastAnswers} are the least`
  const minConfidencePpm = firstNotWorth(answers)
  if (minConfidencePpm === null) return 'the confidence does not tell the answers apart'
  const worths = answers.flatMap(({ confidencePpm, worth }) => (confidencePpm < minConfidencePpm ? [worth] : []))
  if (worths.length < leastRejected || lowerBound(worths) < 0)
    return `the labels do not show that unsure answers gain enough: ${worths.length} of ${answers.length} come into question`
  const rejectedShare = worths.length / answers.length
  const origin = `${formatShare(rejectedShare)} of the ${answers.length} answers left to the open model are asked of the frontier model too, beyond the share that escalates at once`
  return { minConfidencePpm, rejectedShare, origin }
}

/** The confidence at which the falling fit goes below 0; null where it begins there or never does. */
function firstNotWorth(answers: readonly Answer[]): number | null {
  const blocks: Block[] = []
  for (const point of pointsOf(answers)) {
    let block = point
    for (let before = blocks.at(-1); before && mean(block) > mean(before); before = blocks.at(-1)) {
      block = { fromPpm: before.fromPpm, sum: before.sum + block.sum, count: before.count + block.count }
      blocks.pop()
    }
    blocks.push(block)
  }
  const at = blocks.findIndex((block) => mean(block) < 0)
  return at < 1 ? null : blocks[at]!.fromPpm
}

/** Answers of one confidence are one point of the curve. */
function pointsOf(answers: readonly Answer[]): Block[] {
  const points = new Map<number, Block>()
  for (const { confidencePpm, worth } of answers) {
    const { sum, count } = points.get(confidencePpm) ?? { sum: 0, count: 0 }
    points.set(confidencePpm, { fromPpm: confidencePpm, sum: sum + worth, count: count + 1 })
  }
  return [...points.values()].toSorted((a, b) => a.fromPpm - b.fromPpm)
}

function mean({ sum, count }: Block): number {
  return sum / count
}

function lowerBound(values: readonly number[]): number {
  const count = values.length
  const average = values.reduce((sum, value) => sum + value, 0) / count
  const variance = values.reduce((sum, value) => sum + (value - average) ** 2, 0) / (count - 1)
  return average - quantile95 * Math.sqrt(variance / count)
}
