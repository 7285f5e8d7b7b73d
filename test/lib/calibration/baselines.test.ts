import { expect, test } from 'vitest'
import { crossFittedGroupPrior, groupPrior, nearestNeighbours } from '#lib/calibration/baselines'
import type { LabelledStep } from '#lib/calibration/labels'
import { curveFigures, rankByScore } from '#lib/calibration/routing-curve'
import { seededRandom } from '#lib/calibration/seeded-random'

function label(content: string, oss: boolean, frontier: boolean | null): LabelledStep {
  return {
    id: content,
    kind: 'unknown',
    group: null,
    tenantId: null,
    request: { messages: [{ role: 'user', content }] },
    outcome: { oss, frontier },
  }
}

test('a group prior is the mean gain of the group, drawn to the mean of all where labels are few', () => {
  const many = Array.from({ length: 90 }, () => ({ group: 'hard', gain: 1 }))
  const prior = groupPrior([...many, ...Array.from({ length: 90 }, () => ({ group: 'easy', gain: 0 }))])
  expect(prior('hard')).toBeCloseTo(0.95)
  expect(prior('easy')).toBeCloseTo(0.05)
  expect(prior('never seen')).toBe(0.5)
  expect(groupPrior([])('any')).toBe(0)
})

test('a cross-fitted prior is about random where all steps are of one group', () => {
  const random = seededRandom(4)
  const oss = Array.from({ length: 600 }, () => random() < 0.5)
  const frontier = oss.map(() => random() < 0.8)
  const labels = oss.map((right, i) => ({ group: 'one', gain: Number(frontier[i]) - Number(right) }))
  const { figures } = curveFigures(rankByScore(crossFittedGroupPrior(labels, 1)), { oss, frontier })
  expect(figures!.apgr).toBeGreaterThan(0.42)
  expect(figures!.apgr).toBeLessThan(0.52)
})

test('nearest neighbours predict the gain of steps with the same words', () => {
  const labels = [
    ...['integral of x', 'integral of the sine', 'an integral by parts'].map((text) => label(text, false, true)),
    ...['capital of France', 'capital of Peru', 'the capital of Chad'].map((text) => label(text, true, true)),
    label('one-sided integral', false, null),
  ]
  const predict = nearestNeighbours(labels, 2)
  const of = (content: string): number => predict({ messages: [{ role: 'user', content }] })
  expect(of('the integral of a cosine')).toBeGreaterThan(of('which is the capital of Mali'))
  expect(of('zzz')).toBe(0.5)
  expect(of('')).toBe(0.5)
})
