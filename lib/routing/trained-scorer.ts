import type { ChatRequest } from '#lib/events/chat-request'
import { denseSize, readDense } from './dense-features.ts'
import type { StepFeatures } from './features.ts'
import { readForest } from './forest.ts'
import { idfOf, readLatent, readMargins, type TextTables } from './linear-heads.ts'
import { handWeighted, type Score, type ScorePart, type Scorer } from './score.ts'
import { minLabelsPerKind, type ScorerModel, type Stack } from './scorer-model.ts'
import { readGrams } from './text-grams.ts'

const FULL_PPM = 1_000_000

/** The model's own view of a step, before it is cut to parts per million. */
export interface Estimate {
  pSuccess: number
  /** null where the model has learned nothing of the frontier. */
  pFrontier: number | null
  /** The same by the n-grams and figures alone, without the forest: a peer to hold it against. */
  linear: { oss: number; frontier: number }
}

export interface TrainedScorer extends Scorer {
  /** False for kinds that had too few labels: they get the hand-weighted score. */
  knows(features: Pick<StepFeatures, 'kind'>): boolean
  estimate(features: StepFeatures, request: ChatRequest): Estimate
}

/**
 * The scorer of a model. `hash` is that of the bytes the model came from. A step costs one pass over its text, two sums
 * over its n-grams and a walk down each tree; nothing is allocated that grows with the model.
 */
export function createTrainedScorer(model: ScorerModel, hash: string): TrainedScorer {
  const { header } = model
  const tables: TextTables = {
    wordIdf: idfOf(model.wordUsers, header.documents),
    pieceIdf: idfOf(model.pieceUsers, header.documents),
  }
  const inputs = new Float32Array(denseSize + header.latentDims + 3)
  const forest = new Float64Array(2)
  const knows = ({ kind }: Pick<StepFeatures, 'kind'>) => (header.kinds[kind] ?? 0) >= minLabelsPerKind

  function estimate(features: StepFeatures, request: ChatRequest): Estimate {
    const grams = readGrams(request)
    readDense(features, request, inputs)
    const margins = readMargins(model, tables, grams, inputs)
    readLatent(model, grams.terms, inputs, denseSize)
    setMargins(inputs, denseSize + header.latentDims, margins.oss, margins.frontier)
    readForest(model, inputs, forest)
    const { oss, frontier } = header.stack
    return {
      pSuccess: stacked(oss, margins.oss, forest[0]!),
      pFrontier: frontier && stacked(frontier, margins.frontier, forest[1]!),
      linear: { oss: logistic(margins.oss), frontier: logistic(margins.frontier) },
    }
  }

  return {
    hash,
    knows,
    estimate,
    score(features, request): Score {
      if (!knows(features)) return handWeighted.score(features, request)
      const { pSuccess, pFrontier, linear } = estimate(features, request)
      const parts: ScorePart[] = [
        { name: 'text', ppm: toPpm(linear.oss) },
        { name: 'forest', ppm: toPpm(pSuccess) - toPpm(linear.oss) },
      ]
      return {
        pSuccessPpm: toPpm(pSuccess),
        gainPpm: pFrontier === null ? null : toPpm(pFrontier) - toPpm(pSuccess),
        parts,
      }
    },
  }
}

/** The two margins and their difference, as the forest reads them: in probabilities, so that far ends do not matter. */
export function setMargins(inputs: Float32Array, at: number, oss: number, frontier: number): void {
  const pOss = logistic(oss)
  const pFrontier = logistic(frontier)
  inputs[at] = pOss
  inputs[at + 1] = pFrontier
  inputs[at + 2] = pFrontier - pOss
}

export function stacked(stack: Stack, margin: number, forest: number): number {
  return logistic(stack.intercept + stack.linear * margin + stack.forest * logit(forest))
}

export function logistic(x: number): number {
  return 1 / (1 + Math.exp(-x))
}

/** Kept off the ends, where a leaf of few labels can stand. */
export function logit(p: number): number {
  const kept = Math.min(0.99, Math.max(0.01, p))
  return Math.log(kept / (1 - kept))
}

function toPpm(p: number): number {
  return Math.round(p * FULL_PPM)
}
