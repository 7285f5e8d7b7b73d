import type { ToolReading } from './tool-ambiguity.ts'
import type { Query } from './tool-fit.ts'
import type { ToolProfile } from './tool-profile.ts'

/** Names of what `readToolShape` tells, in its order. */
export const toolShapeNames = [
  'tools',
  'contest',
  'twins',
  'missing',
  'no_fit',
  'coverage',
  'ambiguity',
  'parameters',
  'required',
  'parameters_a_tool',
  'parameters_most',
  'optional',
  'nested',
  'choices',
  'numbers',
  'description_chars',
  'best_parameters',
  'best_required',
  'best_nested',
  'best_numbers',
  'covered_tools',
  'evidence_numbers',
  'evidence_values',
  'numbers_a_need',
  'values_a_need',
  'query_words',
  'query_actions',
  'second_fit',
  'least_fit',
  'name_coverage',
  'lists',
  'strings',
  'booleans',
  'name_words',
  'asked_to_described',
] as const

/** Tools of which a fifth at least is in the request: several of them are a request for several calls. */
const covered = 0.2

/**
 * What is offered and asked for, as figures: number and size of the tools, how the best one fits, and how much the request
 * brings for its arguments: twice as many values as one call needs speak for two calls. Zeros where no tool may be called.
 */
export function readToolShape(reading: ToolReading | undefined, out: Float32Array, at: number): void {
  out.fill(0, at, at + toolShapeNames.length)
  if (!reading) return
  const { profiles, best, fits, ambiguity, evidence, query } = reading
  const sum = {
    parameters: 0,
    required: 0,
    nested: 0,
    lists: 0,
    choices: 0,
    numbers: 0,
    strings: 0,
    booleans: 0,
    descriptionChars: 0,
    nameWords: 0,
  }
  let most = 0
  let coveredTools = 0
  for (const { shape, words } of profiles) {
    for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += shape[key]
    most = Math.max(most, shape.parameters)
    let matched = 0
    for (const term of words.keys()) if (query.words.has(term)) matched++
    if (matched >= covered * words.size) coveredTools++
  }
  const tools = profiles.length
  let needsNumbers = 0
  for (const { kind } of best.required) if (kind === 'number') needsNumbers++
  let i = at
  out[i++] = tools
  out[i++] = ambiguity.contestPpm / 1e6
  out[i++] = ambiguity.twinsPpm / 1e6
  out[i++] = ambiguity.missingPpm / 1e6
  out[i++] = ambiguity.noFitPpm / 1e6
  out[i++] = reading.coverage
  out[i++] = ambiguity.ppm / 1e6
  out[i++] = sum.parameters
  out[i++] = sum.required
  out[i++] = sum.parameters / tools
  out[i++] = most
  out[i++] = (sum.parameters - sum.required) / (sum.parameters || 1)
  out[i++] = sum.nested
  out[i++] = sum.choices
  out[i++] = sum.numbers / (sum.parameters || 1)
  out[i++] = Math.log1p(sum.descriptionChars / tools)
  out[i++] = best.shape.parameters
  out[i++] = best.shape.required
  out[i++] = best.shape.nested
  out[i++] = best.shape.numbers
  out[i++] = coveredTools
  out[i++] = Math.log1p(evidence.numbers)
  out[i++] = Math.log1p(evidence.values)
  out[i++] = Math.min(9, evidence.numbers / (needsNumbers || 1))
  out[i++] = Math.min(9, evidence.values / (best.required.length - needsNumbers || 1))
  out[i++] = query.words.size
  out[i++] = countBits(query.actions)
  const [bestFit = 0, secondFit = 0] = fits
  const ofBest = (fit: number) => (bestFit === 0 || tools === 1 ? 0 : fit / bestFit)
  out[i++] = ofBest(secondFit)
  out[i++] = ofBest(fits.at(-1)!)
  out[i++] = nameCoverage(best, query)
  out[i++] = sum.lists / (sum.parameters || 1)
  out[i++] = sum.strings / (sum.parameters || 1)
  out[i++] = sum.booleans / (sum.parameters || 1)
  out[i++] = sum.nameWords / tools
  out[i++] = Math.log((1 + query.words.size) / (1 + sum.descriptionChars / tools))
}

/** Part of a tool's name that the request speaks of; its terms come first. */
function nameCoverage({ words, shape }: ToolProfile, query: Query): number {
  let named = 0
  let left = shape.nameWords
  for (const term of words.keys()) {
    if (left-- === 0) break
    if (query.words.has(term)) named++
  }
  return named / (shape.nameWords || 1)
}

function countBits(bits: number): number {
  let count = 0
  for (let rest = bits; rest !== 0; rest &= rest - 1) count++
  return count
}
