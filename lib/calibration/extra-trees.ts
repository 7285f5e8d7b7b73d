import { fullLeaf, leafInput, type Forest } from '#lib/routing/forest'
import type { Random } from './seeded-random.ts'

export interface ForestOptions {
  trees: number
  /** Trees more that see these inputs alone, half of them at a split. */
  focused?: { trees: number; inputs: readonly number[] }
  /** Labels of each head that a leaf holds at least. */
  minLeaf: number
  /** Inputs that are tried at a split, as a share of all. */
  triedShare: number
  /** Labels that speak against each step down a tree: with as many of a head in a node, half of a step counts. */
  shrinkage: number
  random: Random
}

/** Of few inputs the half is tried: among so few one that says nothing should seldom be the only choice. */
const focusedShare = 0.5

/** Targets of both heads by row: 0, 1, or `unlabelled`. */
export interface Targets {
  oss: Uint8Array
  frontier: Uint8Array
}
export const unlabelled = 2

interface Grower {
  /** Of each input the values of all rows: they are read input by input. */
  columns: readonly Float32Array[]
  targets: PackedTargets
  options: ForestOptions
  tried: number
  /** Indexes of the inputs that the present tree sees, shuffled as they are drawn. */
  drawing: Int32Array
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
 * A leaf's rates are drawn towards those of all nodes above it (hierarchical shrinkage, Agarwal et al. 2022,
 * arXiv:2202.00858): six hundred labels tell less than their leaves say. One that lacks labels of a head takes its
 * parent's rate.
 */
export function growForest(
  columns: readonly Float32Array[],
  rows: Int32Array,
  targets: Targets,
  options: ForestOptions,
): Forest {
  const grower: Grower = {
    columns,
    targets: { oss: pack(targets.oss), frontier: pack(targets.frontier) },
    options,
    tried: Math.max(1, Math.round(options.triedShare * columns.length)),
    drawing: Int32Array.from(columns.keys()),
    nodeInputs: [],
    nodeThresholds: [],
    nodeJumps: [],
    leafValues: [],
  }
  const focused = options.focused ?? { trees: 0, inputs: [] }
  const treeRoots = new Int32Array(options.trees + focused.trees)
  for (let tree = 0; tree < treeRoots.length; tree++) {
    if (tree === options.trees) {
      grower.drawing = Int32Array.from(focused.inputs)
      grower.tried = Math.ceil(focusedShare * focused.inputs.length)
    }
    treeRoots[tree] = grower.nodeInputs.length
    grow(grower, rows, null)
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

/** A node's rate of one head: as its labels have it, and drawn towards those above; of `labels`. */
interface Rate {
  own: number
  drawn: number
  labels: number
}

interface Rates {
  oss: Rate
  frontier: Rate
}

function rateOf(labels: number, ones: number, parent: Rate | undefined, shrinkage: number): Rate {
  const own = labels > 0 ? ones / labels : (parent?.own ?? 0.5)
  if (!parent) return { own, drawn: own, labels }
  return { own, drawn: parent.drawn + (own - parent.own) / (1 + shrinkage / parent.labels), labels }
}

function grow(grower: Grower, rows: Int32Array, parent: Rates | null): void {
  const { nodeInputs, nodeThresholds, nodeJumps, leafValues } = grower
  const { shrinkage } = grower.options
  const all = tally(grower.targets, rows)
  const rates: Rates = {
    oss: rateOf(all.oss, all.ossOnes, parent?.oss, shrinkage),
    frontier: rateOf(all.frontier, all.frontierOnes, parent?.frontier, shrinkage),
  }
  const split = isPure(all) ? null : findSplit(grower, rows, all)
  if (!split) {
    nodeInputs.push(leafInput)
    nodeThresholds.push(0)
    nodeJumps.push(leafValues.length / 2)
    leafValues.push(Math.round(rates.oss.drawn * fullLeaf), Math.round(rates.frontier.drawn * fullLeaf))
    return
  }
  const node = nodeInputs.length
  nodeInputs.push(split.input)
  nodeThresholds.push(split.threshold)
  nodeJumps.push(0)
  const column = grower.columns[split.input]!
  const isLeft = (row: number) => column[row]! <= split.threshold
  grow(grower, rows.filter(isLeft), rates)
  nodeJumps[node] = nodeInputs.length - node
  const right = rows.filter((row) => !isLeft(row))
  grow(grower, right, rates)
}

function findSplit(grower: Grower, rows: Int32Array, all: Tally): { input: number; threshold: number } | null {
  const { columns, targets, options, tried, drawing } = grower
  const width = drawing.length
  const { random, minLeaf } = options
  let best: { input: number; threshold: number } | null = null
  let bestGain = 1e-9
  // Constant inputs do not count as tried: most figures are constant among steps of one kind.
  for (let drawn = 0, counted = 0; drawn < width && counted < tried; drawn++) {
    const other = drawn + Math.floor(random() * (width - drawn))
    const input = drawing[other]!
    drawing[other] = drawing[drawn]!
    drawing[drawn] = input
    const column = columns[input]!
    let low = column[rows[0]!]!
    let high = low
    for (let i = 1; i < rows.length; i++) {
      const value = column[rows[i]!]!
      if (value < low) low = value
      else if (value > high) high = value
    }
    if (!(low < high)) continue
    counted++
    // In single precision, as it is kept.
    const threshold = Math.fround(low + random() * (high - low))
    const left = tallyBelow(column, rows, threshold, targets)
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

function tally({ oss, frontier }: PackedTargets, rows: Int32Array): Tally {
  let ossSum = 0
  let frontierSum = 0
  for (let i = 0; i < rows.length; i++) {
    ossSum += oss[rows[i]!]!
    frontierSum += frontier[rows[i]!]!
  }
  return unpack(ossSum, frontierSum)
}

/** Of the rows whose value is not above the threshold. The innermost loop of all training. */
function tallyBelow(
  column: Float32Array,
  rows: Int32Array,
  threshold: number,
  { oss, frontier }: PackedTargets,
): Tally {
  let ossSum = 0
  let frontierSum = 0
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!
    if (column[row]! > threshold) continue
    ossSum += oss[row]!
    frontierSum += frontier[row]!
  }
  return unpack(ossSum, frontierSum)
}

/** A label is 1, and 2²⁶ more where it is a right answer: one sum counts both, exactly for up to 67 million rows. */
const packedOne = 2 ** 26

interface PackedTargets {
  oss: Float64Array
  frontier: Float64Array
}

function pack(targets: Uint8Array): Float64Array {
  return Float64Array.from(targets, (target) => (target === unlabelled ? 0 : 1 + target * packedOne))
}

function unpack(oss: number, frontier: number): Tally {
  return {
    oss: oss % packedOne,
    ossOnes: Math.floor(oss / packedOne),
    frontier: frontier % packedOne,
    frontierOnes: Math.floor(frontier / packedOne),
  }
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
