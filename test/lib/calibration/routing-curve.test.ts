import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  accuracyAt,
  curveFigures,
  curvePoints,
  rankByOracle,
  rankByScore,
  rankWithinGroups,
  type Outcomes,
} from '#lib/calibration/routing-curve'

/** F: the frontier model alone is right, O: the open one alone, b: both, n: none. */
function outcomes(text: string): Outcomes {
  const each = Array.from(text)
  return { oss: each.map((one) => 'Ob'.includes(one)), frontier: each.map((one) => 'Fb'.includes(one)) }
}

const descending = (length: number): number[] => Array.from({ length }, (_, i) => length - i)

function apgr(scores: number[], text: string): number | undefined {
  return curveFigures(rankByScore(scores), outcomes(text)).figures?.apgr
}

test('a constant score is the random ranking: APGR 0.5, CPT50 and CPT80 at their shares', () => {
  const { figures } = curveFigures(rankByScore(Array<number>(10).fill(3)), outcomes('FFFFFbbOnn'))
  expect(figures).toEqual({ apgr: 0.5, cpt50: 0.5, cpt80: 0.8 })
})

test('the figures of a small set, worked by hand', () => {
  // Cumulative gain 0 1 1 2: PGR 0 .5 .5 1.
  const { figures } = curveFigures(rankByScore(descending(3)), outcomes('FbF'))
  expect(figures?.apgr).toBeCloseTo((0.25 + 0.5 + 0.75) / 3, 12)
  expect(figures?.cpt50).toBeCloseTo(1 / 3, 12)
  expect(figures?.cpt80).toBe(1)
})

test('PGR may pass 1 on the way: what the open model alone gets right is best kept', () => {
  expect(apgr(descending(3), 'FFO')).toBeCloseTo((0.5 + 1.5 + 1.5) / 3, 12)
})

test('without a gap there are no figures, and a reason', () => {
  expect(curveFigures(rankByScore([2, 1]), outcomes('FO'))).toEqual({
    figures: null,
    reason: expect.stringContaining('no gap') as string,
  })
  expect(curveFigures(rankByScore([]), outcomes('')).reason).toContain('both outcomes')
})

test('points run from all-OSS to all-frontier', () => {
  const points = curvePoints(rankByScore([3, 2, 2, 1]), outcomes('FbnO'))
  expect(points).toEqual([
    { share: 0, accuracy: 0.5 },
    { share: 0.25, accuracy: 0.75 },
    { share: 0.75, accuracy: 0.75 },
    { share: 1, accuracy: 0.5 },
  ])
  expect(accuracyAt(points, 0.125)).toBeCloseTo(0.625)
  expect(accuracyAt(points, 0)).toBe(0.5)
  expect(accuracyAt(points, 1)).toBe(0.5)
})

test('within groups a score that is a group prior is random, and one that orders each group is not', () => {
  const text = 'FbnnFFFb'
  const groups = Array.from('ggggkkkk')
  const prior = curveFigures(rankWithinGroups([1, 1, 1, 1, 9, 9, 9, 9], groups), outcomes(text))
  expect(prior.figures?.apgr).toBe(0.5)
  const inner = curveFigures(rankWithinGroups([4, 3, 2, 1, 9, 8, 7, 6], groups), outcomes(text))
  expect(inner.figures!.apgr).toBeGreaterThan(0.6)
})

const anySet = fc
  .array(fc.record({ score: fc.integer({ min: 0, max: 6 }), outcome: fc.constantFrom('F', 'O', 'b', 'n') }), {
    minLength: 1,
    maxLength: 40,
  })
  .filter((set) => {
    const count = (one: string): number => set.filter(({ outcome }) => outcome === one).length
    return count('F') > count('O')
  })

test('ties: the APGR is the mean over orders of what is tied, and the order of the file changes nothing', () => {
  fc.assert(
    fc.property(anySet, fc.infiniteStream(fc.nat({ max: 2 ** 20 - 1 })), (set, random) => {
      const text = set.map(({ outcome }) => outcome).join('')
      const scores = set.map(({ score }) => score)
      const tied = curveFigures(rankByScore(scores), outcomes(text)).figures!
      const turned = curveFigures(
        rankByScore(scores.toReversed()),
        outcomes(Array.from(text).toReversed().join('')),
      ).figures!
      expect(turned.apgr).toBeCloseTo(tied.apgr, 9)
      expect([turned.cpt50, turned.cpt80]).toEqual([tied.cpt50, tied.cpt80])
      // An order of the ties and its reverse have the tied figure as their mean.
      // Eighths of a score at most, and exact: a break that rounding swallows on one side alone is no reversed order.
      const breaks = scores.map(() => random.next().value / 2 ** 23)
      const one = apgr(
        scores.map((score, i) => score + breaks[i]!),
        text,
      )!
      const other = apgr(
        scores.map((score, i) => score - breaks[i]!),
        text,
      )!
      if (new Set(breaks).size === breaks.length) expect((one + other) / 2).toBeCloseTo(tied.apgr, 9)
    }),
  )
})

test('no ranking beats the oracle, and turning a ranking round mirrors it', () => {
  fc.assert(
    fc.property(anySet, (set) => {
      const given = outcomes(set.map(({ outcome }) => outcome).join(''))
      const scores = set.map(({ score }) => score)
      const figures = curveFigures(rankByScore(scores), given).figures!
      const oracle = curveFigures(rankByOracle(given), given).figures!
      expect(figures.apgr).toBeLessThanOrEqual(oracle.apgr + 1e-9)
      expect(figures.cpt50).toBeGreaterThanOrEqual(oracle.cpt50)
      expect(figures.cpt80).toBeGreaterThanOrEqual(figures.cpt50)
      const turned = curveFigures(rankByScore(scores.map((score) => -score)), given).figures!
      expect(figures.apgr + turned.apgr).toBeCloseTo(1, 9)
    }),
  )
})

test('counts stand for as many equal steps', () => {
  const counted = curveFigures(rankByScore([2, 1]), outcomes('Fb'), Uint32Array.from([3, 0])).figures
  expect(counted).toEqual(curveFigures(rankByScore([2, 2, 2]), outcomes('FFF')).figures)
})
