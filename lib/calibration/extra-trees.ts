import { fullLeaf, leafInput, type Forest } from '#lib/routing/forest'
import type { Random } from './seeded-random.ts'

export interface ForestOptions {
  trees: number
  /** Labels of each head that a leaf holds at least. */
  minLeaf: number
  /** Inputs that are tried at a split, as a share of all. */
  triedShare: number
  random: Random
}

/** Targets of both heads by row: 0, 1, or `unlabelled`. */
export interface Targets {
  oss: Uint8Array
  frontier: Uint8Array
}
export const unlabelled = 2

interface Grower {
  /** Row-major, `width` figures a row. */
  inputs: Float64Array
  width: number
  targets: Targets
  options: ForestOptions
  tried: number
  columns: Int32Array
  nodeInputs: number[]
  nodeThresholds: number[]
  nodeJumps: number[]
  leafValues: number[]
}

/**
 * Extremely randomised trees (Geurts, Ernst and Wehenkel 2006) whose leaves hold both heads. Why both in one tree? Steps
 * are ranked by the difference of the heads; where both are estimated in the same leaf their errors cancel in it. On MMLU
 * that was worth more than any other choice: two separate forests, or boosted trees, rank hardly better than the n-grams.
 *
 * A leaf that lacks labels of a head takes its parent's rate.
 */
export function growForest(
  inputs: Float64Array,
  width: number,
  rows: Int32Array,
  targets: Targets,
  options: ForestOptions,
): Forest {
  const grower: Grower = {
    inputs,
    width,
    targets,
    options,
    tried: Math.max(1, Math.round(options.triedShare * width)),
    columns: Int32Array.from({ length: width }, (_, i) => i),
    nodeInputs: [],
    nodeThresholds: [],
    nodeJumps: [],
    leafValues: [],
  }
  const treeRoots = new Int32Array(options.trees)
  for (let tree = 0; tree < options.trees; tree++) {
    treeRoots[tree] = grower.nodeInputs.length
    grow(grower, rows, 0.5, 0.5)
  }
  return {
    treeRoots,
    nodeInputs: Uint8Array.from(grower.nodeInputs),
    nodeThresholds: Float32Array.from(grower.nodeThresholds),
    nodeJumps: Uint32Array.from(grower.nodeJumps),
    leafValues: Uint16Array.from(grower.leafValues),
  }
}

/** Labels and ones of both heads. */
interface Tally {
  oss: number
  ossOnes: number
  frontier: number
  frontierOnes: number
}

function grow(grower: Grower, rows: Int32Array, parentOss: number, parentFrontier: number): void {
  const { inputs, width, nodeInputs, nodeThresholds, nodeJumps, leafValues } = grower
  const all = tally(grower.targets, rows)
  const oss = all.oss === 0 ? parentOss : all.ossOnes / all.oss
  const frontier = all.frontier === 0 ? parentFrontier : all.frontierOnes / all.frontier
  const split = isPure(all) ? null : findSplit(grower, rows, all)
  if (!split) {
    nodeInputs.push(leafInput)
    nodeThresholds.push(0)
    nodeJumps.push(leafValues.length / 2)
    leafValues.push(Math.round(oss * fullLeaf), Math.round(frontier * fullLeaf))
    return
  }
  const node = nodeInputs.length
  nodeInputs.push(split.input)
  nodeThresholds.push(split.threshold)
  nodeJumps.push(0)
  const isLeft = (row: number) => inputs[row * width + split.input]! <= split.threshold
  grow(grower, rows.filter(isLeft), oss, frontier)
  nodeJumps[node] = nodeInputs.length - node
  const right = rows.filter((row) => !isLeft(row))
  grow(grower, right, oss, frontier)
}

function findSplit(grower: Grower, rows: Int32Array, all: Tally): { input: number; threshold: number } | null {
  const { inputs, width, targets, options, tried, columns } = grower
  const { random, minLeaf } = options
  let best: { input: number; threshold: number } | null = null
  let bestGain = 1e-9
  // Constant inputs do not count as tried: most figures are constant among steps of one kind.
  for (let drawn = 0, counted = 0; drawn < width && counted < tried; drawn++) {
    const other = drawn + Math.floor(random() * (width - drawn))
    const input = columns[other]!
    columns[other] = columns[drawn]!
    columns[drawn] = input
    let low = Infinity
    let high = -Infinity
    for (const row of rows) {
      const value = inputs[row * width + input]!
      if (value < low) low = value
      if (value > high) high = value
    }
    if (!(low < high)) continue
    counted++
    // In single precision, as it is kept.
    const threshold = Math.fround(low + random() * (high - low))
    const left = tallyBelow(grower, rows, input, threshold, targets)
    if (!holdsEnough(left, all, minLeaf)) continue
    const gain =
      varianceGain(left.oss, left.ossOnes, all.oss, all.ossOnes) +
      varianceGain(left.frontier, left.frontierOnes, all.frontier, all.frontierOnes)
    if (gain > bestGain) {
      bestGain = gain
      best = { input, threshold }
    }
  }
  return best
}

function tallyBelow(
  { inputs, width }: Pick<Grower, 'inputs' | 'width'>,
  rows: Int32Array,
  input: number,
  threshold: number,
  targets: Targets,
): Tally {
  let oss = 0
  let ossOnes = 0
  let frontier = 0
  let frontierOnes = 0
  for (const row of rows) {
    if (inputs[row * width + input]! > threshold) continue
    const ofOss = targets.oss[row]!
    const ofFrontier = targets.frontier[row]!
    if (ofOss !== unlabelled) {
      oss++
      ossOnes += ofOss
    }
    if (ofFrontier !== unlabelled) {
      frontier++
      frontierOnes += ofFrontier
    }
  }
  return { oss, ossOnes, frontier, frontierOnes }
}

/** Each side has enough labels of each head that has labels at all. */
function holdsEnough(left: Tally, all: Tally, minLeaf: number): boolean {
  const enough = (count: number, of: number) => of === 0 || (count >= minLeaf && of - count >= minLeaf)
  return enough(left.oss, all.oss) && enough(left.frontier, all.frontier)
}

/** How much of the sum of squares about the mean a split takes away. */
function varianceGain(leftCount: number, leftOnes: number, count: number, ones: number): number {
  const rightCount = count - leftCount
  if (leftCount === 0 || rightCount === 0) return 0
  const rightOnes = ones - leftOnes
  return (leftOnes * leftOnes) / leftCount + (rightOnes * rightOnes) / rightCount - (ones * ones) / count
}

function isPure({ oss, ossOnes, frontier, frontierOnes }: Tally): boolean {
  return (ossOnes === 0 || ossOnes === oss) && (frontierOnes === 0 || frontierOnes === frontier)
}

function tally(targets: Targets, rows: Int32Array): Tally {
  const none = { inputs: new Float64Array(1), width: 0 }
  return tallyBelow(none, rows, 0, Infinity, targets)
}
