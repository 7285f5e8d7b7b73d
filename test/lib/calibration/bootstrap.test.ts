import { expect, test } from 'vitest'
import { bootstrap, intervalOf, pairedInterval, type BootstrapSample } from '#lib/calibration/bootstrap'
import { curveFigures, rankByOracle, rankByScore, type Outcomes, type Ranking } from '#lib/calibration/routing-curve'
import { seededRandom } from '#lib/calibration/seeded-random'

function run(rankings: Ranking[], outcomes: Outcomes, seed = 1, draws = 300): BootstrapSample[] {
  const drawing = bootstrap(rankings, outcomes, { seed, draws })
  for (;;) {
    const { done, value } = drawing.next()
    if (done) return value
  }
}

/** Steps whose chance of gain is their score. */
function population(size: number, seed: number): { scores: number[]; outcomes: Outcomes } {
  const random = seededRandom(seed)
  const scores = Array.from({ length: size }, random)
  return {
    scores,
    outcomes: { oss: scores.map((score) => random() > score), frontier: scores.map(() => random() > 0.1) },
  }
}

test('the same seed draws the same, another seed another', () => {
  const { scores, outcomes } = population(50, 3)
  const ranking = rankByScore(scores)
  expect(run([ranking], outcomes)).toEqual(run([ranking], outcomes))
  expect(run([ranking], outcomes, 2)).not.toEqual(run([ranking], outcomes))
})

test('a 90 % interval covers the figure of the population about nine times in ten', () => {
  const all = population(40_000, 1)
  const truth = curveFigures(rankByScore(all.scores), all.outcomes).figures!.apgr
  let covered = 0
  const trials = 100
  for (let trial = 0; trial < trials; trial++) {
    const { scores, outcomes } = population(150, 100 + trial)
    const [sample] = run([rankByScore(scores)], outcomes, trial, 200)
    const { low, high } = intervalOf(sample!, 'apgr', { draws: 200 })!
    if (low <= truth && truth <= high) covered++
  }
  expect(covered).toBeGreaterThan(80)
})

test('a difference between rankings is taken draw by draw: of a ranking to itself it is none', () => {
  const { scores, outcomes } = population(100, 5)
  const ranking = rankByScore(scores)
  const [one, same, oracle] = run([ranking, ranking, rankByOracle(outcomes)], outcomes)
  expect(pairedInterval(one!, same!, 'apgr', { draws: 300 })).toEqual({ low: 0, high: 0 })
  expect(pairedInterval(oracle!, one!, 'apgr', { draws: 300 })!.low).toBeGreaterThan(0)
})

test('labels that do not show a gap have no interval', () => {
  const outcomes = { oss: [true, true, false], frontier: [true, true, true] }
  const flat = { oss: [true, false], frontier: [true, false] }
  expect(intervalOf(run([rankByScore([1, 2])], flat)[0]!, 'apgr', { draws: 300 })).toBeNull()
  expect(intervalOf(run([rankByScore([3, 2, 1])], outcomes)[0]!, 'apgr', { draws: 300 })).not.toBeNull()
})
