import type { ChatRequest } from '#lib/events/chat-request'
import { textsOf } from '#lib/routing/message-text'
import { eachWord } from '#lib/routing/words'
import type { LabelledStep } from './labels.ts'
import { gainGot, withBothOutcomes, type ScoredStep } from './scored-step.ts'
import { seededRandom, shuffled } from './seeded-random.ts'

/** What a scorer must beat to be worth its training. All predict the gain; the highest escalates first. */

/** Gains of this many steps, at the mean over all, are added to those of a group: a group of two says little. */
const priorWeight = 10

interface GroupedGain {
  group: string | null
  gain: number
}

/** Mean gain of each group in `labels`, drawn towards the mean over all; that mean for a group it has not seen. */
export function groupPrior(labels: readonly GroupedGain[]): (group: string | null) => number {
  const mean = labels.length === 0 ? 0 : labels.reduce((sum, { gain }) => sum + gain, 0) / labels.length
  const sums = new Map<string | null, { sum: number; count: number }>()
  for (const { group, gain } of labels) {
    const found = sums.get(group) ?? { sum: 0, count: 0 }
    sums.set(group, { sum: found.sum + gain, count: found.count + 1 })
  }
  return (group) => {
    const { sum, count } = sums.get(group) ?? { sum: 0, count: 0 }
    return (sum + priorWeight * mean) / (count + priorWeight)
  }
}

const folds = 5

/**
 * The group prior of labels for themselves, each fifth from the other four. Why not leave one out? A step that gains
 * lowers the mean of the others in its group, so within a group the order would be exactly the wrong one.
 */
export function crossFittedGroupPrior(labels: readonly GroupedGain[], seed: number): number[] {
  const fold = shuffled([...labels.keys()], seededRandom(seed))
  const predicted = Array.from<number>({ length: labels.length }).fill(0)
  for (let each = 0; each < folds; each++) {
    const prior = groupPrior(fold.filter((_, at) => at % folds !== each).map((i) => labels[i]!))
    fold.forEach((i, at) => {
      if (at % folds === each) predicted[i] = prior(labels[i]!.group)
    })
  }
  return predicted
}

/** A prior by the groups of the very steps that are ranked, where no other labels are there to learn it from. */
export function ownGroupPrior(steps: readonly ScoredStep[], seed: number): { name: string; gains: number[] } {
  const both = withBothOutcomes(steps)
  const predicted = crossFittedGroupPrior(
    both.map((step) => ({ group: step.group, gain: gainGot(step) })),
    seed,
  )
  const byStep = new Map<ScoredStep, number>(both.map((step, i) => [step, predicted[i]!]))
  // A step with one outcome is not ranked.
  return { name: 'prior by group', gains: steps.map((step) => byStep.get(step) ?? 0) }
}

const neighbours = 50
/** Buckets of hashed terms. */
const buckets = 2 ** 20

interface Postings {
  items: number[]
  weights: number[]
}
const none: Postings = { items: [], weights: [] }

/**
 * Mean gain of the nearest labelled steps: cosine over hashed word 1- and 2-grams, weighted by tf·idf, each neighbour by
 * its likeness. Its cost grows with the labels, which is what a trained scorer spares.
 */
export function nearestNeighbours(labels: readonly LabelledStep[], k = neighbours): (request: ChatRequest) => number {
  const known = withBothOutcomes(labels.map(({ request, outcome }) => ({ request, ...outcome })))
  const gains = known.map(gainGot)
  const mean = gains.length === 0 ? 0 : gains.reduce((sum, gain) => sum + gain, 0) / gains.length
  const termsOf = known.map(({ request }) => countTerms(request))
  const index = new Map<number, Postings>()
  for (const terms of termsOf)
    for (const term of terms.keys()) if (!index.has(term)) index.set(term, { items: [], weights: [] })
  const documents = new Map<number, number>()
  for (const terms of termsOf) for (const term of terms.keys()) documents.set(term, (documents.get(term) ?? 0) + 1)
  const idf = (term: number): number => Math.log((1 + known.length) / (1 + (documents.get(term) ?? 0))) + 1
  for (const [item, terms] of termsOf.entries())
    for (const [term, weight] of weigh(terms, idf)) {
      const { items, weights } = index.get(term)!
      items.push(item)
      weights.push(weight)
    }

  const likeness = new Float64Array(known.length)
  return (request) => {
    likeness.fill(0)
    for (const [term, weight] of weigh(countTerms(request), idf)) {
      const { items, weights } = index.get(term) ?? none
      for (let at = 0; at < items.length; at++) likeness[items[at]!]! += weight * weights[at]!
    }
    // One neighbour's weight at the mean of all, so that a step that is like none predicts that mean.
    let sum = mean
    let weights = 1
    for (const item of largest(likeness, k)) {
      sum += likeness[item]! * gains[item]!
      weights += likeness[item]!
    }
    return sum / weights
  }
}

/** Of messages, and of what the offered tools are called and described as. */
function countTerms({ messages, tools = [] }: ChatRequest): Map<number, number> {
  const counts = new Map<number, number>()
  const add = (term: string): void => {
    const bucket = hash(term)
    counts.set(bucket, (counts.get(bucket) ?? 0) + 1)
  }
  const read = (text: string): void => {
    let before = ''
    eachWord(text, (word) => {
      add(word)
      if (before !== '') add(`${before} ${word}`)
      before = word
    })
  }
  for (const message of messages) for (const text of textsOf(message)) read(text)
  for (const tool of tools) read(`${tool.function.name} ${tool.function.description ?? ''}`)
  return counts
}

/** tf·idf of length 1. */
function weigh(counts: ReadonlyMap<number, number>, idf: (term: number) => number): [term: number, weight: number][] {
  const weighed = [...counts].map(([term, count]): [number, number] => [term, (1 + Math.log(count)) * idf(term)])
  let squares = 0
  for (const [, weight] of weighed) squares += weight * weight
  const length = Math.sqrt(squares)
  return weighed.map(([term, weight]) => [term, weight / length])
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  return (value >>> 0) % buckets
}

/** Indices of the k largest values above 0, of equal ones the first. */
function largest(values: Float64Array, k: number): number[] {
  const found: number[] = []
  let least = 0
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if (value <= 0 || (found.length === k && value <= least)) continue
    let at = found.length
    while (at > 0 && values[found[at - 1]!]! < value) at--
    found.splice(at, 0, i)
    if (found.length > k) found.pop()
    least = values[found.at(-1)!]!
  }
  return found
}
