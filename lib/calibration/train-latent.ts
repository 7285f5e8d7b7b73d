import type { ScorerModel } from '#lib/routing/scorer-model'
import { termBuckets } from '#lib/routing/text-grams'
import { latentVectors } from './latent-semantics.ts'
import type { Random } from './seeded-random.ts'
import type { TrainingText } from './training-text.ts'

type LatentPart = Pick<ScorerModel, 'termRows' | 'termVectors' | 'termIdf'> & { termScale: number }

/** A term of fewer texts has no direction of its own. */
const minUsers = 3
/** Of more texts than this share it says nothing of what they are about. */
const maxShare = 0.5

/** The latent dimensions of all training text, labelled or not, in bytes: finer steps changed no ranking. */
export function trainLatent(text: TrainingText, dims: number, random: Random): LatentPart {
  const documents = text.terms.length
  const termRows = new Int16Array(termBuckets).fill(-1)
  const idf: number[] = []
  for (let bucket = 0; bucket < termBuckets; bucket++) {
    const users = text.termUsers[bucket]!
    if (users < minUsers || users > maxShare * documents) continue
    termRows[bucket] = idf.length
    idf.push(Math.log((1 + documents) / (1 + users)))
  }
  const termIdf = Float32Array.from(idf)
  const known = text.terms.map((terms) => terms.map((bucket) => termRows[bucket]!).filter((row) => row !== -1))
  const vectors = latentVectors({ documents: known, idf: termIdf }, dims, random)
  // The IDF goes in: what is left to do for a text is to add up and to divide by its length.
  for (let row = 0; row < termIdf.length; row++)
    for (let dim = 0; dim < dims; dim++) vectors[row * dims + dim]! *= termIdf[row]!
  const largest = vectors.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  const termScale = largest / 127
  const termVectors = Int8Array.from(vectors, (value) => (termScale === 0 ? 0 : Math.round(value / termScale)))
  return { termRows, termVectors, termIdf, termScale }
}
