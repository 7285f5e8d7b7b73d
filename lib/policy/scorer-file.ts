import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ShuntError } from '#lib/errors'
import { decodeScorer } from '#lib/routing/scorer-codec'
import { createTrainedScorer } from '#lib/routing/trained-scorer'
import type { TrainedScorer } from './policy-store.ts'
import { scorerBytes, type ScorerBytes } from './scorer-parts.ts'

/** The scorer that ships with this release: what `use: trained` stands for where nothing names another. */
export const shippedScorerDir = fileURLToPath(new URL('../routing/default-scorer', import.meta.url))

/** The scorer of a directory that `shunt calibrate` made. Throws SHUNT_SCORER_MISSING. */
export function readScorerFile(dir = shippedScorerDir): ScorerBytes {
  const path = join(dir, 'scorer.bin')
  try {
    return scorerBytes(readFileSync(path))
  } catch (cause) {
    throw new ShuntError(
      'SHUNT_SCORER_MISSING',
      `${path} cannot be read: name the directory that \`shunt calibrate LABELS --out DIR\` made`,
      { cause },
    )
  }
}

/** Throws SHUNT_SCORER_INVALID. */
export function readTrainedScorer(bytes: Buffer, hash: string): TrainedScorer {
  const model = decodeScorer(bytes)
  const { reference, kinds } = model.header
  return { scorer: createTrainedScorer(model, hash), reference, kinds }
}
