import type { ReferenceHistogram } from './observables.ts'

/**
 * A trained scorer: for each of two heads, P(the OSS answer is right) and P(the frontier answer is right), an L2-regularised
 * logistic regression on n-grams and figures, a forest that has both heads in its leaves, and a logistic regression that
 * puts the two together and calibrates them (stacking, Wolpert 1992).
 */
export interface ScorerModel {
  header: ScorerHeader
  /** How many requests of the training text hold a bucket: for the inverse document frequency. */
  wordUsers: Uint16Array
  pieceUsers: Uint16Array
  /** Of each head one after the other, the IDF within; then the figures'. */
  wordWeights: Float32Array
  pieceWeights: Float32Array
  denseWeights: Float32Array
  /** Mean and deviation of the figures in the training text. */
  denseMeans: Float32Array
  denseScales: Float32Array
  /** Row of `termVectors` of a term's bucket, -1 for one that was too rare. */
  termRows: Int16Array
  /** `latentDims` a row, of which one unit is `header.termScale`; the IDF within. */
  termVectors: Int8Array
  /** Inverse document frequency of the row. */
  termIdf: Float32Array
  /** First node of each tree. */
  treeRoots: Int32Array
  /** Input that a node asks about (`denseNames`, latent dimensions, margins); 255 in a leaf. */
  nodeInputs: Uint8Array
  /** A node sends inputs up to it to the next node, others to `nodeJumps` further on. */
  nodeThresholds: Float32Array
  /** Nodes from here to the right child; in a leaf the index of its pair in `leafValues`. */
  nodeJumps: Uint32Array
  /** P(OSS right) and P(frontier right) in a leaf, 65,535 being 1. */
  leafValues: Uint16Array
}

export interface ScorerHeader {
  formatVersion: 1
  seed: number
  /** Requests of the training text, with labels or without. */
  documents: number
  labels: { oss: number; frontier: number; both: number }
  /** Labels a kind: of another kind the scorer knows nothing. */
  kinds: Record<string, number>
  /** `denseNames` of the release that trained it; those of this one once it is decoded. */
  inputs: string[]
  latentDims: number
  termScale: number
  /** Intercepts of the logistic regressions. */
  biases: { oss: number; frontier: number }
  /** Intercept, weight of the linear margin, weight of the forest's log-odds. */
  stack: { oss: Stack; frontier: Stack | null }
  /** What drift is held against: observables of the training labels. */
  reference: ReferenceHistogram[]
}

export interface Stack {
  intercept: number
  linear: number
  forest: number
}

/** Kinds with fewer labels are left to the hand-weighted score. */
export const minLabelsPerKind = 50
