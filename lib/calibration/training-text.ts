import { denseSize, readDense } from '#lib/routing/dense-features'
import { extractFeatures, type StepFeatures } from '#lib/routing/features'
import { gramScale, idfOf, scaledDense } from '#lib/routing/linear-heads'
import { pieceBuckets, readGrams, termBuckets, wordBuckets } from '#lib/routing/text-grams'
import type { LabelRequest } from './label-request.ts'
import type { LabelledItem } from './labels.ts'
import type { SparseRows } from './logistic.ts'

/** Requests read once: what training needs of each, and nothing of their text. */
export interface TrainingText {
  /** Of the labelled steps, in their order. */
  features: StepFeatures[]
  words: Int32Array[]
  pieces: Int32Array[]
  /** `denseSize` figures a step. */
  dense: Float32Array
  /** Of the labelled steps first, then of the unlabelled requests. */
  terms: Int32Array[]
  wordUsers: Uint16Array
  pieceUsers: Uint16Array
  termUsers: Uint16Array
}

const mostUsers = 65_535

export function readTrainingText(items: readonly LabelledItem[], unlabelled: readonly LabelRequest[]): TrainingText {
  const text: TrainingText = {
    features: [],
    words: [],
    pieces: [],
    dense: new Float32Array(items.length * denseSize),
    terms: [],
    wordUsers: new Uint16Array(wordBuckets),
    pieceUsers: new Uint16Array(pieceBuckets),
    termUsers: new Uint16Array(termBuckets),
  }
  for (const [index, { kind, request }] of items.entries()) {
    const { words, pieces } = addText(text, request)
    text.words.push(words.slice())
    text.pieces.push(pieces.slice())
    const features = extractFeatures({ kind, request: JSON.stringify(request) }, request)
    readDense(features, request, text.dense.subarray(index * denseSize, (index + 1) * denseSize))
    text.features.push(features)
  }
  for (const request of unlabelled) addText(text, request)
  return text
}

function addText(text: TrainingText, request: LabelRequest): { words: Int32Array; pieces: Int32Array } {
  const { words, pieces, terms } = readGrams(request)
  count(words, text.wordUsers)
  count(pieces, text.pieceUsers)
  count(terms, text.termUsers)
  text.terms.push(terms.slice())
  return { words, pieces }
}

function count(buckets: Int32Array, users: Uint16Array): void {
  for (const bucket of buckets) if (users[bucket]! < mostUsers) users[bucket]!++
}

/** Mean of each figure, and 1 / its deviation; 0 for a constant one, which then counts for nothing. */
export function spreadOf(dense: Float32Array): { means: Float32Array; scales: Float32Array } {
  const rows = dense.length / denseSize
  const means = new Float32Array(denseSize)
  const scales = new Float32Array(denseSize)
  for (let column = 0; column < denseSize; column++) {
    let sum = 0
    for (let row = 0; row < rows; row++) sum += dense[row * denseSize + column]!
    const mean = sum / rows
    let squares = 0
    for (let row = 0; row < rows; row++) squares += (dense[row * denseSize + column]! - mean) ** 2
    means[column] = mean
    scales[column] = squares > 1e-12 * rows ? Math.sqrt(rows / squares) : 0
  }
  return { means, scales }
}

/** The n-grams and figures of the labelled steps as the linear part weighs them: words, then pieces, then figures. */
export function designOf(text: TrainingText, means: Float32Array, scales: Float32Array): SparseRows {
  const documents = text.terms.length
  const wordIdf = idfOf(text.wordUsers, documents)
  const pieceIdf = idfOf(text.pieceUsers, documents)
  const steps = text.words.length
  const starts = new Int32Array(steps + 1)
  for (let row = 0; row < steps; row++)
    starts[row + 1] = starts[row]! + text.words[row]!.length + text.pieces[row]!.length + denseSize
  const columns = new Int32Array(starts[steps]!)
  const values = new Float32Array(starts[steps]!)
  let at = 0
  const put = (column: number, value: number) => {
    columns[at] = column
    values[at++] = value
  }
  for (let row = 0; row < steps; row++) {
    const wordScale = gramScale(wordIdf, text.words[row]!)
    for (const bucket of text.words[row]!) put(bucket, wordIdf[bucket]! * wordScale)
    const pieceScale = gramScale(pieceIdf, text.pieces[row]!)
    for (const bucket of text.pieces[row]!) put(wordBuckets + bucket, pieceIdf[bucket]! * pieceScale)
    for (let column = 0; column < denseSize; column++) {
      const value = scaledDense(text.dense[row * denseSize + column]!, means[column]!, scales[column]!)
      put(wordBuckets + pieceBuckets + column, value)
    }
  }
  return { starts, columns, values, width: wordBuckets + pieceBuckets + denseSize }
}
