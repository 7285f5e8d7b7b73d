import type { ChatTool } from '#lib/events/chat-request'
import { lexemeOf } from './lexicon.ts'
import { eachWord } from './words.ts'

/** Weight of a word by where it stands: a name says most about what a tool is for. */
const weights = { name: 3, parameter: 1.5, description: 1 } as const

/** Part of its weight that a word has which tools of any trade use. */
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
  /** What the name begins with, where that is no verb: perhaps its server, as `slack`. */
  prefix: string | undefined
  /** Verb families (actions.ts) of the first verb in the name, or else in the description; 0 for none. */
  actions: number
  required: readonly RequiredArgument[]
  shape: ToolShape
}

/** How much a call of a tool has to get right, as counts. */
export interface ToolShape {
  parameters: number
  required: number
  /** Arrays and objects: several values in one. */
  nested: number
  /** Of those the arrays: where there is none, a list in the request asks for several calls. */
  lists: number
  choices: number
  numbers: number
  strings: number
  booleans: number
  descriptionChars: number
  nameWords: number
}

type Schema = Record<string, unknown>

export function profileTool(tool: ChatTool): ToolProfile {
  const { name, description, parameters } = tool.function
  const words = new Map<string, number>()
  const roots = new Map<string, number>()
  let actions = 0
  let prefix: string | undefined
  let weight: number = weights.name
  const visit = (word: string) => {
    const lexeme = lexemeOf(word)
    actions ||= lexeme.actions
    if (lexeme.isStopWord) return
    const { term, root } = lexeme
    if (words.size === 0 && actions === 0) prefix = root
    const before = words.get(term)
    if (before !== undefined && before >= weight) return
    const weighed = lexeme.isCommon ? weight * commonPart : weight
    if (before !== undefined && before >= weighed) return
    words.set(term, weighed)
    if ((roots.get(root) ?? 0) < weighed) roots.set(root, weighed)
  }
  eachWord(name, visit)
  const nameWords = words.size
  weight = weights.description
  if (description) eachWord(description, visit)

  const required: RequiredArgument[] = []
  const shape = {
    parameters: 0,
    required: 0,
    nested: 0,
    lists: 0,
    choices: 0,
    numbers: 0,
    strings: 0,
    booleans: 0,
    descriptionChars: description?.length ?? 0,
    nameWords,
  }
  const properties = asSchema(parameters?.['properties'])
  const requiredNames = Array.isArray(parameters?.['required']) ? parameters['required'] : []
  for (const [key, value] of Object.entries(properties ?? {})) {
    const schema = asSchema(value)
    weight = weights.parameter
    eachWord(key, visit)
    weight = weights.description
    if (typeof schema?.['description'] === 'string') eachWord(schema['description'], visit)
    if (schema && requiredNames.includes(key)) addRequired(key, schema, required)
    shape.parameters++
    if (requiredNames.includes(key)) shape.required++
    if (Array.isArray(schema?.['enum'])) shape.choices++
    if (isOneOf(schema?.['type'], nestedTypes)) shape.nested++
    if (isOneOf(schema?.['type'], listTypes)) shape.lists++
    if (isOneOf(schema?.['type'], numberTypes)) shape.numbers++
    if (isOneOf(schema?.['type'], stringTypes)) shape.strings++
    if (isOneOf(schema?.['type'], booleanTypes)) shape.booleans++
  }

  return {
    name,
    words,
    length: euclidean(words),
    roots,
    rootsLength: euclidean(roots),
    prefix,
    actions,
    required,
    shape,
  }
}

/** JSON Schema's names, and those that data sets of other languages use. */
const listTypes = new Set(['array', 'list', 'tuple', 'arraylist'])
const nestedTypes = new Set([...listTypes, 'object', 'dict', 'hashmap'])
const stringTypes = new Set(['string', 'str', 'char'])
const booleanTypes = new Set(['boolean', 'bool'])
const numberTypes = new Set(['integer', 'number', 'float', 'double', 'int', 'long'])

function isOneOf(type: unknown, types: ReadonlySet<string>): boolean {
  return typeof type === 'string' && types.has(type.toLowerCase())
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
