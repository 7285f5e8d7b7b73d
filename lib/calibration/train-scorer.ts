import { setImmediate as nextTurn } from 'node:timers/promises'
import { ShuntError } from '#lib/errors'
import { denseNames, denseSize } from '#lib/routing/dense-features'
import { readForest, type Forest } from '#lib/routing/forest'
import { readLatent } from '#lib/routing/linear-heads'
import { binOf, observables, observe, observableNames, type ReferenceHistogram } from '#lib/routing/observables'
import type { ScorerModel, Stack } from '#lib/routing/scorer-model'
import { pieceBuckets, wordBuckets } from '#lib/routing/text-grams'
import { logit, setMargins, stacked } from '#lib/routing/trained-scorer'
import { growForest, unlabelled } from './extra-trees.ts'
import type { LabelRequest } from './label-request.ts'
import type { LabelledStep } from './labels.ts'
import { fitLogistic, marginOf, type LogisticFit, type SparseRows } from './logistic.ts'
import type { ScoredStep } from './scored-step.ts'
import { seededRandom, shuffled } from './seeded-random.ts'
import { trainLatent } from './train-latent.ts'
import { designOf, readTrainingText, spreadOf, type TrainingText } from './training-text.ts'

export interface TrainOptions {
  seed: number
  /** Requests without outcomes: they say which words are rare and which go together. */
  unlabelled?: readonly LabelRequest[]
  signal?: AbortSignal
  /** Told of each part that is done. */
  onProgress?: (done: number, of: number) => void
}

export interface Training {
  model: ScorerModel
  /** Each label as scored by a forest and a regression that did not see it. */
  outOfFold: ScoredStep[]
}

/** Fewer labels of a head teach nothing that would hold on other steps. */
const minLabels = 60

const folds = 5
const linear = { c: 0.5, maxIterations: 60 }
const latentDims = 24
const forestOptions = { trees: 80, triedShare: 0.3, shrinkage: 100 }
/**
 * What half of the trees see where most steps have tools: how many and of what shape they are, whether one fits, and how much is
 * asked for. Among two hundred inputs six hundred labels find these too late.
 */
const structureInputs = [
  'structure_several_calls',
  'structure_no_tool',
  'tool_tools',
  'tool_second_fit',
  'tool_missing',
  'tool_best_required',
  'tool_parameters',
  'task_words',
].map((name) => denseNames.indexOf(name))

/** A leaf holds 15 labels, and more where there are so many that the forest would outgrow a few megabytes. */
const minLeafOf = (labels: number) => Math.max(15, Math.round(labels / 600))

/**
 * Trains both heads of a scorer. Deterministic for a seed and the order of the labels. The parts are put together on
 * estimates of models that did not see the step (cross-fitting), so that the result is calibrated on steps to come.
 *
 * Throws SHUNT_LABELS_TOO_FEW where fewer than 60 steps tell whether the OSS model was right, or all tell the same.
 * Without that much of the frontier model the scorer has no gain.
 */
export async function trainScorer(labels: readonly LabelledStep[], options: TrainOptions): Promise<Training> {
  const targets = {
    oss: Uint8Array.from(labels, ({ outcome }) => targetOf(outcome.oss)),
    frontier: Uint8Array.from(labels, ({ outcome }) => targetOf(outcome.frontier)),
  }
  const counts = { oss: countLabels(targets.oss), frontier: countLabels(targets.frontier) }
  if (!canTeach(counts.oss)) throw tooFew(counts.oss)
  const hasFrontier = canTeach(counts.frontier)
  if (!hasFrontier) targets.frontier.fill(unlabelled)

  const advance = progressOf(options, 2 * folds + 4)
  const text = readTrainingText(labels, options.unlabelled ?? [])
  await advance()
  const { means, scales } = spreadOf(text.dense)
  const design = designOf(text, means, scales)
  const latent = trainLatent(text, latentDims, seededRandom(options.seed))
  await advance()

  const foldOf = foldsOf(labels.length, options.seed)
  const all = Int32Array.from(labels.keys())
  const heads = hasFrontier ? (['oss', 'frontier'] as const) : (['oss'] as const)
  const fitHead = (head: 'oss' | 'frontier', rows: Int32Array) =>
    fitLogistic(
      design,
      rows.filter((row) => targets[head][row] !== unlabelled),
      targets[head],
      linear,
    )
  const margins = { oss: new Float64Array(labels.length), frontier: new Float64Array(labels.length) }
  for (let fold = 0; fold < folds; fold++) {
    const seen = all.filter((row) => foldOf[row] !== fold)
    for (const head of heads) {
      const fit = fitHead(head, seen)
      for (const row of all) if (foldOf[row] === fold) margins[head][row] = marginOf(design, row, fit)
    }
    await advance()
  }
  const fits = { oss: fitHead('oss', all), frontier: hasFrontier ? fitHead('frontier', all) : noFit(design) }
  await advance()

  const inputs = forestInputs(text, latent, margins)
  const minLeaf = minLeafOf(labels.length)
  const hasTools = text.features.filter(({ toolCount }) => toolCount > 0).length >= labels.length / 2
  const focused = hasTools && { focused: { trees: forestOptions.trees, inputs: structureInputs } }
  const growOn = (rows: Int32Array, seed: number) =>
    growForest(inputs, rows, targets, { ...forestOptions, ...focused, minLeaf, random: seededRandom(seed) })
  const leaves = { oss: new Float64Array(labels.length), frontier: new Float64Array(labels.length) }
  for (let fold = 0; fold < folds; fold++) {
    const forest = growOn(
      all.filter((row) => foldOf[row] !== fold),
      options.seed + 1 + fold,
    )
    readLeaves(
      forest,
      inputs,
      all.filter((row) => foldOf[row] === fold),
      leaves,
    )
    await advance()
  }
  const forest = growOn(all, options.seed)
  await advance()

  const stack = {
    oss: fitStack(margins.oss, leaves.oss, targets.oss),
    frontier: hasFrontier ? fitStack(margins.frontier, leaves.frontier, targets.frontier) : null,
  }
  const outOfFold = labels.map(({ id, kind, group, tenantId, outcome }, row): ScoredStep => {
    const pSuccess = stacked(stack.oss, margins.oss[row]!, leaves.oss[row]!)
    const pFrontier = stack.frontier && stacked(stack.frontier, margins.frontier[row]!, leaves.frontier[row]!)
    return { id, kind, group, tenantId, pSuccess, gain: (pFrontier ?? 1) - pSuccess, ...outcome }
  })
  const both = labels.filter(({ outcome }) => outcome.oss !== null && outcome.frontier !== null).length
  const model: ScorerModel = {
    header: {
      formatVersion: 1,
      seed: options.seed,
      documents: text.terms.length,
      labels: { oss: counts.oss.labels, frontier: counts.frontier.labels, both },
      kinds: countKinds(labels),
      inputs: [...denseNames],
      latentDims,
      termScale: latent.termScale,
      biases: { oss: fits.oss.bias, frontier: fits.frontier.bias },
      stack,
      reference: referenceOf(text, outOfFold, hasFrontier),
    },
    wordUsers: text.wordUsers,
    pieceUsers: text.pieceUsers,
    ...weightsOf(fits, text),
    denseMeans: means,
    denseScales: scales,
    termRows: latent.termRows,
    termVectors: latent.termVectors,
    termIdf: latent.termIdf,
    ...forest,
  }
  return { model, outOfFold }
}

function targetOf(outcome: boolean | null): number {
  return outcome === null ? unlabelled : Number(outcome)
}

interface LabelCount {
  labels: number
  right: number
}

function countLabels(targets: Uint8Array): LabelCount {
  let labels = 0
  let right = 0
  for (const target of targets)
    if (target !== unlabelled) {
      labels++
      right += target
    }
  return { labels, right }
}

function canTeach({ labels, right }: LabelCount): boolean {
  return labels >= minLabels && right > 0 && right < labels
}

function tooFew({ labels, right }: LabelCount): ShuntError {
  const why =
    labels < minLabels
      ? `${labels} steps tell whether the OSS model was right; give ${minLabels} at least`
      : `the OSS model was ${right === 0 ? 'never' : 'always'} right: there is nothing to tell apart`
  return new ShuntError('SHUNT_LABELS_TOO_FEW', why)
}

function countKinds(labels: readonly LabelledStep[]): Record<string, number> {
  const kinds: Record<string, number> = {}
  for (const { kind } of labels) kinds[kind] = (kinds[kind] ?? 0) + 1
  return kinds
}

/** Which fold a row is in: equal in size, drawn by the seed. */
function foldsOf(rows: number, seed: number): Int32Array {
  const order = shuffled([...Array(rows).keys()], seededRandom(seed))
  const foldOf = new Int32Array(rows)
  for (const [place, row] of order.entries()) foldOf[row] = place % folds
  return foldOf
}

/** What the forest sees of each step: its figures, its latent dimensions, and the out-of-fold linear estimates. */
function forestInputs(
  text: TrainingText,
  latent: ReturnType<typeof trainLatent>,
  margins: { oss: Float64Array; frontier: Float64Array },
): Float32Array[] {
  const part = { ...latent, header: { latentDims, termScale: latent.termScale } as ScorerModel['header'] }
  const width = denseSize + latentDims + 3
  const columns = Array.from({ length: width }, () => new Float32Array(text.features.length))
  const own = new Float32Array(width)
  for (let row = 0; row < text.features.length; row++) {
    own.set(text.dense.subarray(row * denseSize, (row + 1) * denseSize))
    readLatent(part, text.terms[row]!, own, denseSize)
    setMargins(own, denseSize + latentDims, margins.oss[row]!, margins.frontier[row]!)
    for (let input = 0; input < width; input++) columns[input]![row] = own[input]!
  }
  return columns
}

function readLeaves(
  forest: Forest,
  columns: readonly Float32Array[],
  rows: Int32Array,
  into: { oss: Float64Array; frontier: Float64Array },
): void {
  const own = new Float32Array(columns.length)
  const out = new Float64Array(2)
  for (const row of rows) {
    for (let input = 0; input < columns.length; input++) own[input] = columns[input]![row]!
    readForest(forest, own, out)
    into.oss[row] = out[0]!
    into.frontier[row] = out[1]!
  }
}

/**
 * Logistic regression of the outcome on the mean of the two out-of-fold log-odds. Why not a weight for each? Of six hundred
 * labels the two weights are mostly noise, and may even come out negative.
 */
function fitStack(margins: Float64Array, leaves: Float64Array, targets: Uint8Array): Stack {
  const rows = Int32Array.from(targets.keys()).filter((row) => targets[row] !== unlabelled)
  const matrix: SparseRows = {
    starts: Int32Array.from({ length: targets.length + 1 }, (_, row) => row),
    columns: new Int32Array(targets.length),
    values: Float32Array.from(margins, (margin, row) => (margin + logit(leaves[row]!)) / 2),
    width: 1,
  }
  const { weights, bias } = fitLogistic(matrix, rows, targets, { c: 1, maxIterations: 100 })
  return { intercept: bias, linear: weights[0]! / 2, forest: weights[0]! / 2 }
}

function noFit(design: SparseRows): LogisticFit {
  return { weights: new Float64Array(design.width), bias: 0 }
}

/** The weights of both heads as the scorer reads them: with the IDF within. */
function weightsOf(
  fits: { oss: LogisticFit; frontier: LogisticFit },
  text: TrainingText,
): Pick<ScorerModel, 'wordWeights' | 'pieceWeights' | 'denseWeights'> {
  const idf = (users: number) => Math.log((1 + text.terms.length) / (1 + users)) + 1
  const wordWeights = new Float32Array(2 * wordBuckets)
  const pieceWeights = new Float32Array(2 * pieceBuckets)
  const denseWeights = new Float32Array(2 * denseSize)
  for (const [head, { weights }] of [fits.oss, fits.frontier].entries()) {
    for (let i = 0; i < wordBuckets; i++) wordWeights[head * wordBuckets + i] = weights[i]! * idf(text.wordUsers[i]!)
    for (let i = 0; i < pieceBuckets; i++)
      pieceWeights[head * pieceBuckets + i] = weights[wordBuckets + i]! * idf(text.pieceUsers[i]!)
    denseWeights.set(weights.subarray(wordBuckets + pieceBuckets), head * denseSize)
  }
  return { wordWeights, pieceWeights, denseWeights }
}

function referenceOf(text: TrainingText, steps: readonly ScoredStep[], hasGain: boolean): ReferenceHistogram[] {
  const counts = new Map(
    observableNames.map((name) => [name, Array.from({ length: observables[name].edges.length + 1 }, () => 0)]),
  )
  for (const [row, { pSuccess, gain }] of steps.entries()) {
    const score = {
      pSuccessPpm: Math.round(pSuccess * 1e6),
      gainPpm: hasGain ? Math.round(gain * 1e6) : null,
      parts: [],
    }
    const seen = observe(text.features[row]!, score)
    for (const name of observableNames) counts.get(name)![binOf(observables[name].edges, seen[name])]!++
  }
  return observableNames.map((name) => ({
    name,
    edges: [...observables[name].edges],
    shares: counts.get(name)!.map((count) => count / steps.length),
  }))
}

/** Lets timers and signals have their turn between the parts, since each of them keeps the thread for long. */
function progressOf({ signal, onProgress }: TrainOptions, of: number): () => Promise<void> {
  let done = 0
  return async () => {
    onProgress?.(++done, of)
    await nextTurn()
    signal?.throwIfAborted()
  }
}
