import type { ChatTool } from '#lib/events/chat-request'
import { actionsOf } from './actions.ts'
import { eachWord, isStopWord, root, termOf } from './words.ts'

/** Weight of a word by where it stands: a name says most about what a tool is for. */
const weights = { name: 3, parameter: 1.5, description: 1 } as const

/** Words that tools of any trade use: they tell little. */
const commonWords = new Set(
  (
    'calculate compute find retrieve fetch search list show return provide specify specific specified base current ' +
    'information data detail value number amount type name unit identifier parameter option optional default function tool api ' +
    'object string integer float boolean array format result input output following certain particular different various user set'
  )
    .split(' ')
    .map(termOf),
)
const commonPart = 0.4

/** An argument that a call must carry. A yes or no is none: it can be read from any request. */
export interface RequiredArgument {
  name: string
  kind: 'number' | 'value' | 'choice'
  /** The values that a choice allows, lower case. */
  choices: readonly string[]
}

/** A tool as a bag of weighted terms, and what a call of it requires. */
export interface ToolProfile {
  name: string
  /** Term (words.ts) to weight. */
  words: ReadonlyMap<string, number>
  /** Euclidean length of `words`. */
  length: number
  /** What the terms begin with, to the highest of their weights. */
  roots: ReadonlyMap<string, number>
  rootsLength: number
  /** Verb families (actions.ts) of the first verb in the name, or else in the description; 0 for none. */
  actions: number
  required: readonly RequiredArgument[]
}

type Schema = Record<string, unknown>

export function profileTool(tool: ChatTool): ToolProfile {
  const { name, description, parameters } = tool.function
  const words = new Map<string, number>()
  let actions = 0
  let weight: number = weights.name
  const visit = (word: string) => {
    const term = termOf(word)
    actions ||= actionsOf(term)
    if (isStopWord(word)) return
    const weighed = commonWords.has(term) ? weight * commonPart : weight
    if ((words.get(term) ?? 0) < weighed) words.set(term, weighed)
  }
  eachWord(name, visit)
  weight = weights.description
  if (description) eachWord(description, visit)

  const required: RequiredArgument[] = []
  const properties = asSchema(parameters?.['properties'])
  const requiredNames = Array.isArray(parameters?.['required']) ? parameters['required'] : []
  for (const [key, value] of Object.entries(properties ?? {})) {
    const schema = asSchema(value)
    weight = weights.parameter
    eachWord(key, visit)
    weight = weights.description
    if (typeof schema?.['description'] === 'string') eachWord(schema['description'], visit)
    if (schema && requiredNames.includes(key)) addRequired(key, schema, required)
  }

  const roots = new Map<string, number>()
  for (const [term, weight] of words) {
    const short = root(term)
    if ((roots.get(short) ?? 0) < weight) roots.set(short, weight)
  }
  return { name, words, length: euclidean(words), roots, rootsLength: euclidean(roots), actions, required }
}

function euclidean(weights: ReadonlyMap<string, number>): number {
  let squares = 0
  for (const weight of weights.values()) squares += weight * weight
  return Math.sqrt(squares)
}

function addRequired(name: string, schema: Schema, required: RequiredArgument[]): void {
  const { enum: choices, type } = schema
  if (Array.isArray(choices))
    required.push({ name, kind: 'choice', choices: choices.map((choice) => String(choice).toLowerCase()) })
  else if (type !== 'boolean')
    required.push({ name, kind: type === 'integer' || type === 'number' ? 'number' : 'value', choices: [] })
}

function asSchema(value: unknown): Schema | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Schema) : undefined
}
