import fc from 'fast-check'
import { expect, test } from 'vitest'
import { calibrationFigures, type Prediction } from '#lib/calibration/calibration-error'

test('the base rate as forecast has neither error nor skill', () => {
  const predictions = [true, true, true, false].map((outcome) => ({ probability: 0.75, outcome }))
  const figures = calibrationFigures(predictions)!
  expect(figures.ece).toBeCloseTo(0, 12)
  expect(figures.brierSkill).toBeCloseTo(0, 12)
  expect(figures.brier).toBeCloseTo(0.1875, 12)
})

test('a forecast that knows has skill 1, one that is certain and wrong has less than none', () => {
  const outcomes = [true, false, true, false]
  expect(calibrationFigures(outcomes.map((outcome) => ({ probability: Number(outcome), outcome })))!.brierSkill).toBe(1)
  const wrong = calibrationFigures(outcomes.map((outcome) => ({ probability: Number(!outcome), outcome })))!
  expect(wrong.brierSkill).toBe(-3)
  expect(wrong.ece).toBe(1)
})

test('bins hold equal numbers, in order of the probability', () => {
  const predictions = Array.from({ length: 25 }, (_, i) => ({ probability: i / 25, outcome: i % 2 === 0 }))
  const { bins } = calibrationFigures(predictions)!
  expect(bins.map(({ count }) => count)).toEqual([2, 3, 2, 3, 2, 3, 2, 3, 2, 3])
  expect(bins.map(({ predicted }) => predicted)).toEqual(
    bins.map(({ predicted }) => predicted).toSorted((a, b) => a - b),
  )
})

test('outcomes without variety have no skill to speak of, no predictions no figures', () => {
  expect(calibrationFigures([{ probability: 0.9, outcome: true }])!.brierSkill).toBeNull()
  expect(calibrationFigures([])).toBeNull()
})

test('the order of the file changes nothing', () => {
  const prediction = fc.record({ probability: fc.constantFrom(0.1, 0.5, 0.9), outcome: fc.boolean() })
  fc.assert(
    fc.property(fc.array(prediction, { minLength: 1, maxLength: 60 }), (predictions: Prediction[]) => {
      const one = calibrationFigures(predictions)!
      const other = calibrationFigures(predictions.toReversed())!
      expect(other.ece).toBeCloseTo(one.ece, 9)
      expect(other.bins.map(({ count }) => count)).toEqual(one.bins.map(({ count }) => count))
    }),
  )
})
