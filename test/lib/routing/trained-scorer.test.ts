import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { LabelledStep } from '#lib/calibration/labels'
import { trainScorer } from '#lib/calibration/train-scorer'
import { extractFeatures } from '#lib/routing/features'
import { leafInput } from '#lib/routing/forest'
import { handWeighted } from '#lib/routing/score'
import { decodeScorer, encodeScorer } from '#lib/routing/scorer-codec'
import { createTrainedScorer } from '#lib/routing/trained-scorer'
import { syntheticLabels } from '../../support/synthetic-labels.ts'

const labels = syntheticLabels(240, 7).map((label): LabelledStep => ({ ...label, kind: 'unknown', tenantId: null }))
const { model, outOfFold } = await trainScorer(labels, { seed: 3 })
const bytes = encodeScorer(model)
const scorer = createTrainedScorer(decodeScorer(bytes), 'h')
const featuresOf = (request: LabelledStep['request'], kind: LabelledStep['kind'] = 'unknown') =>
  extractFeatures({ kind, request: JSON.stringify(request) }, request)

test('a scorer comes out of its bytes as it went in', () => {
  expect(encodeScorer(decodeScorer(bytes)).equals(bytes)).toBe(true)
})

test('a scorer of a release with fewer figures scores as it did there', () => {
  const constant = model.denseScales.findIndex(
    (scale, i) => scale === 0 && !model.header.inputs[i]!.startsWith('kind_'),
  )
  const without = (figures: Float32Array) => figures.filter((_, i) => i % model.header.inputs.length !== constant)
  const older = encodeScorer({
    ...model,
    header: { ...model.header, inputs: model.header.inputs.filter((_, i) => i !== constant) },
    denseWeights: without(model.denseWeights),
    denseMeans: without(model.denseMeans),
    denseScales: without(model.denseScales),
    nodeInputs: model.nodeInputs.map((input) => (input > constant && input !== leafInput ? input - 1 : input)),
  })
  const read = createTrainedScorer(decodeScorer(older), 'h')
  for (const { request } of labels)
    expect(read.score(featuresOf(request), request)).toEqual(scorer.score(featuresOf(request), request))
})

test('a scorer with a figure that is not known here is refused', () => {
  const inputs = model.header.inputs.with(3, 'of_another_release')
  expect(() => decodeScorer(encodeScorer({ ...model, header: { ...model.header, inputs } }))).toThrow('other features')
})

test('the same step has the same score, whatever was scored before it', () => {
  const once = labels.map(({ request }) => scorer.score(featuresOf(request), request))
  const again = labels.toReversed().map(({ request }) => scorer.score(featuresOf(request), request))
  expect(again.toReversed()).toEqual(once)
})

test('any request has a score within its range', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), fc.boolean(), (content, hasTools) => {
      const tools = [{ type: 'function' as const, function: { name: 'find', parameters: { properties: { q: {} } } } }]
      const request = { messages: [{ role: 'user' as const, content }], ...(hasTools && { tools }) }
      const { pSuccessPpm, gainPpm } = scorer.score(featuresOf(request), request)
      expect(pSuccessPpm).toBeGreaterThanOrEqual(0)
      expect(pSuccessPpm).toBeLessThanOrEqual(1_000_000)
      expect(Math.abs(gainPpm!)).toBeLessThanOrEqual(1_000_000)
    }),
  )
})

test('a kind without labels has the hand-weighted score, and no gain', () => {
  const { request } = labels[0]!
  const features = featuresOf(request, 'tool_call')
  expect(scorer.knows(features)).toBe(false)
  expect(scorer.score(features, request)).toEqual(handWeighted.score(features, request))
})

test('out of fold the probabilities are calibrated and tell the steps apart', () => {
  const mean = (group: string) => {
    const own = outOfFold.filter((step) => step.group === group)
    return own.reduce((sum, { pSuccess }) => sum + pSuccess, 0) / own.length
  }
  expect(mean('lookup')).toBeGreaterThan(0.8)
  expect(mean('proof')).toBeLessThan(0.25)
})

test('labels of one model alone train a scorer without a gain', async () => {
  const oneSided = labels.map((label) => ({ ...label, outcome: { oss: label.outcome.oss, frontier: null } }))
  const { model: alone } = await trainScorer(oneSided, { seed: 1 })
  const { request } = labels[0]!
  expect(createTrainedScorer(alone, 'h').score(featuresOf(request), request).gainPpm).toBeNull()
})

test('too few labels, and labels that are all alike, are refused', async () => {
  await expect(trainScorer(labels.slice(0, 20), { seed: 1 })).rejects.toMatchObject({ code: 'SHUNT_LABELS_TOO_FEW' })
  const alike = labels.map((label) => ({ ...label, outcome: { oss: true, frontier: true } }))
  await expect(trainScorer(alike, { seed: 1 })).rejects.toMatchObject({ code: 'SHUNT_LABELS_TOO_FEW' })
})

test('damaged bytes never make a scorer that fails later: they are refused, or score every step', () => {
  const { request } = labels[0]!
  const features = featuresOf(request)
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.nat(255), fc.boolean(), (at, byte, cut) => {
      const damaged = cut ? bytes.subarray(0, at) : Buffer.from(bytes)
      if (!cut) damaged[at] = byte
      let found
      try {
        found = createTrainedScorer(decodeScorer(damaged), 'h')
      } catch (error) {
        expect(error).toMatchObject({ code: 'SHUNT_SCORER_INVALID' })
        return
      }
      found.score(features, request)
    }),
    { numRuns: 60 },
  )
})
