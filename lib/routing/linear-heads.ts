import { denseSize } from './dense-features.ts'
import type { ScorerModel } from './scorer-model.ts'
import { pieceBuckets, wordBuckets, type Grams } from './text-grams.ts'

/** Figures count little beside the n-grams in the linear part: the forest is there for them. Chosen on MMLU. */
export const denseWeight = 0.05
/** In deviations: a figure further out counts as this. */
const mostDeviations = 4

/** Inverse document frequencies by bucket, of words and of pieces. */
export interface TextTables {
  wordIdf: Float32Array
  pieceIdf: Float32Array
}

/** ln((1 + documents) / (1 + users)) + 1: a bucket that no training text has counts as the rarest. */
export function idfOf(users: Uint16Array, documents: number): Float32Array {
  return Float32Array.from(users, (count) => Math.log((1 + documents) / (1 + count)) + 1)
}

/** 1 / the Euclidean length of a text's IDF weights, halved between words and pieces; 0 of an empty text. */
export function gramScale(idf: Float32Array, buckets: Int32Array): number {
  let squares = 0
  for (let i = 0; i < buckets.length; i++) squares += idf[buckets[i]!]! * idf[buckets[i]!]!
  return squares === 0 ? 0 : Math.SQRT1_2 / Math.sqrt(squares)
}

/** A figure as the linear part reads it. */
export function scaledDense(value: number, mean: number, scale: number): number {
  const deviations = (value - mean) * scale
  return denseWeight * Math.min(mostDeviations, Math.max(-mostDeviations, deviations))
}

type LinearPart = Pick<
  ScorerModel,
  'header' | 'wordWeights' | 'pieceWeights' | 'denseWeights' | 'denseMeans' | 'denseScales'
>

/** Log-odds of both heads by the n-grams and figures. Weights hold the IDF; lengths are divided out here. */
export function readMargins(
  model: LinearPart,
  { wordIdf, pieceIdf }: TextTables,
  { words, pieces }: Grams,
  dense: Float32Array,
): { oss: number; frontier: number } {
  const { wordWeights, pieceWeights, denseWeights, denseMeans, denseScales, header } = model
  let wordsOss = 0
  let wordsFrontier = 0
  for (let i = 0; i < words.length; i++) {
    const bucket = words[i]!
    wordsOss += wordWeights[bucket]!
    wordsFrontier += wordWeights[wordBuckets + bucket]!
  }
  let piecesOss = 0
  let piecesFrontier = 0
  for (let i = 0; i < pieces.length; i++) {
    const bucket = pieces[i]!
    piecesOss += pieceWeights[bucket]!
    piecesFrontier += pieceWeights[pieceBuckets + bucket]!
  }
  const wordScale = gramScale(wordIdf, words)
  const pieceScale = gramScale(pieceIdf, pieces)
  let oss = header.biases.oss + wordsOss * wordScale + piecesOss * pieceScale
  let frontier = header.biases.frontier + wordsFrontier * wordScale + piecesFrontier * pieceScale
  for (let i = 0; i < denseSize; i++) {
    const value = scaledDense(dense[i]!, denseMeans[i]!, denseScales[i]!)
    oss += denseWeights[i]! * value
    frontier += denseWeights[denseSize + i]! * value
  }
  return { oss, frontier }
}

type LatentPart = Pick<ScorerModel, 'header' | 'termRows' | 'termVectors' | 'termIdf'>

/**
 * Where a text stands along the main directions in which the training texts differ (latent semantic analysis, Deerwester
 * et al. 1990): the mean of its terms' vectors, of unit length in the space of terms.
 */
export function readLatent(model: LatentPart, terms: Int32Array, out: Float32Array, at: number): void {
  const { termRows, termVectors, termIdf, header } = model
  const { latentDims: dims, termScale } = header
  out.fill(0, at, at + dims)
  let squares = 0
  for (let i = 0; i < terms.length; i++) {
    const row = termRows[terms[i]!]!
    if (row === -1) continue
    squares += termIdf[row]! * termIdf[row]!
    const from = row * dims
    for (let dim = 0; dim < dims; dim++) out[at + dim]! += termVectors[from + dim]!
  }
  if (squares === 0) return
  const scale = termScale / Math.sqrt(squares)
  for (let dim = 0; dim < dims; dim++) out[at + dim]! *= scale
}
