import { bootstrap, bootstrapDefaults, intervalOf, pairedInterval, type Interval } from './bootstrap.ts'
import { calibrationFigures, type CalibrationFigures } from './calibration-error.ts'
import {
  accuracyAt,
  curveFigures,
  curvePoints,
  rankByOracle,
  rankByScore,
  rankWithinGroups,
  type CurveFigures,
  type CurvePoint,
  type Ranking,
} from './routing-curve.ts'
import { withBothOutcomes, type BothSided, type ScoredStep } from './scored-step.ts'

/** Gains that something else than the scorer predicts, one a step, in their order. */
export interface NamedGains {
  name: string
  gains: readonly number[]
}

export interface RankingFigures {
  name: string
  figures: CurveFigures
  intervals: Record<keyof CurveFigures, Interval | null>
  /** APGR of the scorer less this one's, on the same draws; null for the scorer itself, within groups too. */
  scorerAhead: Interval | null
  /** At every hundredth of steps that escalate, from all-OSS to all-frontier. */
  curve: CurvePoint[]
}

/** Steps with both outcomes of one group. */
export interface GroupFigures {
  group: string | null
  steps: number
  ossAccuracy: number
  frontierAccuracy: number
  /** What the scorer says of them, on average: P(OSS right), and the gain, to be held against the two accuracies. */
  meanPSuccess: number
  meanGain: number
}

export interface Evaluation {
  steps: number
  /** Steps with both outcomes: only these are ranked. */
  ranked: number
  /** Why there are no figures of rankings; null where there are. */
  reason: string | null
  /** The scorer first; `within groups` is the scorer's by the place in the own group alone. */
  rankings: RankingFigures[]
  /** The largest first. */
  groups: GroupFigures[]
  /** Of P(OSS right), on the steps whose OSS outcome is known. */
  calibration: CalibrationFigures | null
}

/** The scorer's ranking by the place in the own group alone. */
export const withinGroups = 'scorer, within groups'

const figureNames = ['apgr', 'cpt50', 'cpt80'] as const satisfies (keyof CurveFigures)[]

/** A generator, since the intervals may take seconds: it yields after each draw. */
export function* evaluate(
  steps: readonly ScoredStep[],
  others: readonly NamedGains[],
  { seed, draws = bootstrapDefaults.draws }: { seed: number; draws?: number },
): Generator<void, Evaluation> {
  const both = withBothOutcomes(steps)
  const outcomes = { oss: both.map(({ oss }) => oss), frontier: both.map(({ frontier }) => frontier) }
  const groups = both.map(({ group }) => group)
  const gains = both.map(({ gain }) => gain)
  const isRanked = steps.map(({ oss, frontier }) => oss !== null && frontier !== null)
  const named: { name: string; ranking: Ranking }[] = [
    { name: 'scorer', ranking: rankByScore(gains) },
    ...(new Set(groups).size > 1 ? [{ name: withinGroups, ranking: rankWithinGroups(gains, groups) }] : []),
    { name: 'random', ranking: rankByScore(gains.map(() => 0)) },
    ...others.map((other) => ({ name: other.name, ranking: rankByScore(other.gains.filter((_, i) => isRanked[i])) })),
    { name: 'oracle', ranking: rankByOracle(outcomes) },
  ]
  const calibration = calibrationFigures(
    steps.flatMap(({ pSuccess, oss }) => (oss === null ? [] : [{ probability: pSuccess, outcome: oss }])),
  )
  const found = { steps: steps.length, ranked: both.length, groups: groupFigures(both), calibration }
  const { reason } = curveFigures(named[0]!.ranking, outcomes)
  if (reason !== null) return { ...found, reason, rankings: [] }
  const samples = yield* bootstrap(
    named.map(({ ranking }) => ranking),
    outcomes,
    { seed, draws },
  )
  const rankings = named.map(({ name, ranking }, i): RankingFigures => ({
    name,
    figures: curveFigures(ranking, outcomes).figures!,
    intervals: Object.fromEntries(
      figureNames.map((figure) => [figure, intervalOf(samples[i]!, figure, { draws })]),
    ) as RankingFigures['intervals'],
    scorerAhead: i === 0 || name === withinGroups ? null : pairedInterval(samples[0]!, samples[i]!, 'apgr', { draws }),
    curve: curveAtShares(curvePoints(ranking, outcomes)),
  }))
  return { ...found, reason: null, rankings }
}

const hundredths = Array.from({ length: 101 }, (_, i) => i / 100)

function curveAtShares(points: readonly CurvePoint[]): CurvePoint[] {
  return hundredths.map((share) => ({ share, accuracy: accuracyAt(points, share) }))
}

function groupFigures(steps: readonly BothSided<ScoredStep>[]): GroupFigures[] {
  return [...Map.groupBy(steps, ({ group }) => group)]
    .map(([group, own]) => {
      const mean = (value: (step: BothSided<ScoredStep>) => number): number =>
        own.reduce((sum, step) => sum + value(step), 0) / own.length
      return {
        group,
        steps: own.length,
        ossAccuracy: mean(({ oss }) => Number(oss)),
        frontierAccuracy: mean(({ frontier }) => Number(frontier)),
        meanPSuccess: mean(({ pSuccess }) => pSuccess),
        meanGain: mean(({ gain }) => gain),
      }
    })
    .toSorted((a, b) => b.steps - a.steps || ((a.group ?? '') < (b.group ?? '') ? -1 : 1))
}
