import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { confidenceThreshold } from '#lib/calibration/confidence-threshold'
import type { ScoredStep } from '#lib/calibration/scored-step'
import { seededRandom } from '#lib/calibration/seeded-random'
import type { ThresholdSet } from '#lib/calibration/thresholds'

const base = { name: null, steps: 0, gainPpm: 150_000, frontierShare: 0, origin: '' }
const thresholds: ThresholdSet = { by: null, base, strata: [] }

/** Steps that the decision leaves to the open model, which is right as often as `isRight` says of its confidence. */
function answers(count: number, isRight: (confidence: number) => number, more: Partial<ScoredStep> = {}) {
  const random = seededRandom(7)
  const confidencePpm = new Map<string, number>()
  const steps = Array.from({ length: count }, (_, i): ScoredStep => {
    const confidence = random()
    const id = `s-${i}`
    confidencePpm.set(id, Math.round(confidence * 1e6))
    const oss = random() < isRight(confidence)
    const outcome = { oss, frontier: random() < 0.9 }
    return { id, kind: 'routing', group: null, tenantId: null, pSuccess: 0.5, gain: 0.1, ...outcome, ...more }
  })
  return [steps, thresholds, confidencePpm] as const
}

test('answers below the confidence at which escalation stops to pay are rejected', () => {
  // Right in 20 % below 0.3, in 90 % above: the frontier gains 70 % there and nothing here.
  const found = confidenceThreshold(...answers(2_000, (confidence) => (confidence < 0.3 ? 0.2 : 0.9)))
  if (typeof found === 'string') throw new Error(found)
  expect(found.minConfidencePpm / 1e6).toBeCloseTo(0.3, 1)
  expect(found.rejectedShare).toBeCloseTo(0.3, 1)
  expect(found.origin).toContain('of the 2000 answers')
})

test('a confidence that tells nothing gives no threshold', () => {
  expect(confidenceThreshold(...answers(2_000, () => 0.85))).toEqual(expect.any(String))
})

test('too few labels give no threshold, and the reason says how many there were', () => {
  const unsure = (confidence: number) => (confidence < 0.5 ? 0 : 1)
  expect(confidenceThreshold(...answers(150, unsure))).toContain('150 labels')
  // Those that escalate at once never have an open answer; those of one side do not tell what is gained.
  expect(confidenceThreshold(...answers(500, unsure, { gain: 0.5 }))).toContain('0 labels')
  expect(confidenceThreshold(...answers(500, unsure, { frontier: null }))).toContain('0 labels')
})

test('the order of the labels does not matter, and what is rejected gains what is asked', () => {
  const outcome = fc.record({ confidence: fc.nat({ max: 20 }), oss: fc.boolean(), frontier: fc.boolean() })
  fc.assert(
    fc.property(fc.array(outcome, { minLength: 200, maxLength: 300 }), (outcomes) => {
      const confidencePpm = new Map(outcomes.map(({ confidence }, i) => [`${i}`, confidence]))
      const steps = outcomes.map(({ oss, frontier }, i): ScoredStep => ({
        id: `${i}`,
        kind: 'routing',
        group: null,
        tenantId: null,
        pSuccess: 0.5,
        gain: 0,
        oss,
        frontier,
      }))
      const found = confidenceThreshold(steps, thresholds, confidencePpm)
      expect(confidenceThreshold(steps.toReversed(), thresholds, confidencePpm)).toEqual(found)
      if (typeof found === 'string') return
      const rejected = outcomes.filter(({ confidence }) => confidence < found.minConfidencePpm)
      const gained = rejected.reduce((sum, { oss, frontier }) => sum + Number(frontier) - Number(oss), 0)
      expect(gained / rejected.length).toBeGreaterThanOrEqual(0.15)
    }),
  )
})
