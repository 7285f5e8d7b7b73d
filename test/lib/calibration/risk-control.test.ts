import { expect, test } from 'vitest'
import { thresholdForAccuracyLoss } from '#lib/calibration/risk-control'
import { seededRandom } from '#lib/calibration/seeded-random'

/** Steps whose chance to gain by escalation is their gain itself. */
function draw(count: number, random: () => number) {
  return Array.from({ length: count }, () => {
    const gain = random() * 0.5
    const escalates = random() < gain
    return { gain, oss: !escalates, frontier: true }
  })
}

test('the promised loss is kept, but for the share of draws that the confidence allows', () => {
  const maxLoss = 0.1
  const confidence = 0.9
  const random = seededRandom(11)
  let broken = 0
  const draws = 200
  for (let seed = 0; seed < draws; seed++) {
    const { gainPpm } = thresholdForAccuracyLoss(draw(300, random), { maxLoss, confidence, seed })
    // The true loss of keeping gains below t, uniform on 0 to 0.5, is t² (the mean of gain × kept).
    const kept = Math.min(0.5, Math.max(0, gainPpm / 1e6))
    if (kept * kept > maxLoss) broken++
  }
  expect(broken / draws).toBeLessThanOrEqual(1 - confidence + 0.05)
})

test('it is of use: steps of little gain stay on the open model', () => {
  const certified = thresholdForAccuracyLoss(draw(1_500, seededRandom(5)), { maxLoss: 0.1, confidence: 0.9, seed: 1 })
  expect(certified.frontierShare).toBeLessThan(0.7)
  expect(certified.observedLoss).toBeLessThanOrEqual(0.1)
})

test('labels that cannot certify anything are refused with how many could', () => {
  expect(() =>
    thresholdForAccuracyLoss(draw(20, seededRandom(1)), { maxLoss: 0.01, confidence: 0.95, seed: 1 }),
  ).toThrow(expect.objectContaining({ code: 'SHUNT_LABELS_TOO_FEW', message: expect.stringMatching(/at least \d+/) }))
})
