import { expect, test } from 'vitest'
import { growForest, unlabelled } from '#lib/calibration/extra-trees'
import { seededRandom } from '#lib/calibration/seeded-random'
import { readForest } from '#lib/routing/forest'

/** One input that says all of the OSS outcome, one of noise; the frontier model is right three times in four. */
const size = 400
const noise = seededRandom(5)
const columns = [
  Float32Array.from({ length: size }, (_, row) => row % 2),
  Float32Array.from({ length: size }, () => noise()),
]
const targets = {
  oss: Uint8Array.from({ length: size }, (_, row) => row % 2),
  frontier: Uint8Array.from({ length: size }, (_, row) => Number(row % 8 < 6)),
}
const rows = Int32Array.from({ length: size }, (_, row) => row)

function ratesOf(shrinkage: number, input: number, of = targets): { oss: number; frontier: number } {
  const options = { trees: 20, minLeaf: 15, triedShare: 1, shrinkage, random: seededRandom(1) }
  const out = new Float64Array(2)
  readForest(growForest(columns, rows, of, options), Float32Array.of(input, 0.5), out)
  return { oss: out[0]!, frontier: out[1]! }
}

test('a leaf holds the rates of its labels where nothing is drawn', () => {
  expect(ratesOf(0, 1).oss).toBeCloseTo(1, 4)
  expect(ratesOf(0, 0).oss).toBeCloseTo(0, 4)
})

test('a leaf is drawn towards the rate of all labels, the more so the fewer there are', () => {
  // One step down from 400 labels at 0.5: 0.5 + 0.5 / (1 + 100 / 400).
  expect(ratesOf(100, 1).oss).toBeCloseTo(0.9, 2)
  expect(ratesOf(1e9, 1).oss).toBeCloseTo(0.5, 3)
  expect(ratesOf(1e9, 1).frontier).toBeCloseTo(0.75, 3)
})

test('a head without labels where a leaf is has the rate from above', () => {
  const half = { ...targets, frontier: targets.frontier.map((target, row) => (row % 2 === 0 ? target : unlabelled)) }
  expect(ratesOf(0, 1, half).frontier).toBeCloseTo(0.75, 1)
})

test('focused trees ask about their inputs alone', () => {
  const forest = growForest(columns, rows, targets, {
    trees: 0,
    focused: { trees: 20, inputs: [0] },
    minLeaf: 15,
    triedShare: 1,
    shrinkage: 0,
    random: seededRandom(1),
  })
  expect(forest.treeRoots).toHaveLength(20)
  expect(new Set(forest.nodeInputs)).toEqual(new Set([0, 255]))
})
