import { isMoved, type Redecision, type Standing } from './redecision.ts'

/** Decisions that went the same way before and go the same way now. */
export interface MoveTally {
  before: Standing
  after: Standing
  decisions: number
  /** Of them, those that get another model; all where the standing differs. */
  moved: number
  costBeforeMicroUsd: number
  costAfterMicroUsd: number
  known: KnownAnswers
  expected: ExpectedAnswers
}

/** Of the recorded answers. Whether another model's would have been right, nobody knows. */
export interface KnownAnswers {
  /** A caller said so. */
  right: number
  wrong: number
  /** The answer's own form shows it. */
  failedVerification: number
  unknown: number
  /** Mean over the answers of which it is known, ppm; null where it is known of none. */
  confidencePpm: number | null
  withConfidence: number
}

/** What the scorer makes of a move, of first attempts alone: a score says nothing of a step that has failed already. */
export interface ExpectedAnswers {
  /** First attempts of which the scorer knows both models' chances, or that need but the open model's. */
  decisions: number
  /** Right answers, more or less. */
  change: number
  /** First attempts that move between the tiers, with a scorer that does not know the gain. */
  withoutGain: number
  /**
   * Most that those might change, where a frontier model is right wherever the open one is: the chance that the open model
   * is wrong, summed up; 1 for a step that no open model has on either side.
   */
  withoutGainAtMost: number
}

export interface MoveTallies {
  add(redecision: Redecision): void
  /** The most frequent first. */
  all(): MoveTally[]
}

export function createMoveTallies(): MoveTallies {
  const tallies = new Map<string, MoveTally & { confidenceSum: number }>()
  return {
    add(redecision) {
      const { before, after } = redecision
      if (!after) return
      const key = `${before.standing} ${after.standing}`
      let tally = tallies.get(key)
      if (!tally) tallies.set(key, (tally = emptyTally(before.standing, after.standing)))
      tally.decisions += 1
      tally.costBeforeMicroUsd += before.cost.microUsd
      tally.costAfterMicroUsd += after.cost.microUsd
      if (!isMoved(before, after)) return
      tally.moved += 1
      addKnown(tally, redecision)
      addExpected(tally.expected, redecision)
    },
    all: () =>
      [...tallies.values()]
        .toSorted((a, b) => b.decisions - a.decisions || (a.before + a.after < b.before + b.after ? -1 : 1))
        .map(({ confidenceSum, ...tally }) => {
          const { withConfidence } = tally.known
          const confidencePpm = withConfidence === 0 ? null : Math.round(confidenceSum / withConfidence)
          return { ...tally, known: { ...tally.known, confidencePpm } }
        }),
  }
}

function emptyTally(before: Standing, after: Standing): MoveTally & { confidenceSum: number } {
  return {
    before,
    after,
    decisions: 0,
    moved: 0,
    costBeforeMicroUsd: 0,
    costAfterMicroUsd: 0,
    known: { right: 0, wrong: 0, failedVerification: 0, unknown: 0, confidencePpm: null, withConfidence: 0 },
    expected: { decisions: 0, change: 0, withoutGain: 0, withoutGainAtMost: 0 },
    confidenceSum: 0,
  }
}

function addKnown(
  tally: { known: KnownAnswers; confidenceSum: number },
  { right, rightBy, decision: { attempt } }: Redecision,
): void {
  const { known } = tally
  if (right === null) known.unknown += 1
  else if (right) known.right += 1
  else if (rightBy === 'feedback') known.wrong += 1
  else known.failedVerification += 1
  const confidencePpm = attempt?.confidencePpm ?? null
  if (confidencePpm === null) return
  known.withConfidence += 1
  tally.confidenceSum += confidencePpm
}

function addExpected(expected: ExpectedAnswers, { decision, before, after }: Redecision): void {
  if (!after || decision.record.attempt !== 1) return
  // One yardstick for both sides: the score that the new policy decides on.
  const { pSuccessPpm, gainPpm } = after
  const was = chancePpm(before.standing, pSuccessPpm, gainPpm)
  const is = chancePpm(after.standing, pSuccessPpm, gainPpm)
  if (was === null || is === null) {
    if (before.standing === after.standing) return
    expected.withoutGain += 1
    const isHeldAgainstOss = before.standing === 'oss' || after.standing === 'oss'
    expected.withoutGainAtMost += isHeldAgainstOss ? (1e6 - pSuccessPpm) / 1e6 : 1
    return
  }
  expected.decisions += 1
  expected.change += (is - was) / 1e6
}

/** That the answer is right; null where the scorer cannot tell. */
function chancePpm(standing: Standing, pSuccessPpm: number, gainPpm: number | null): number | null {
  if (standing === 'oss') return pSuccessPpm
  if (standing !== 'frontier') return 0
  return gainPpm === null ? null : Math.min(1e6, Math.max(0, pSuccessPpm + gainPpm))
}
