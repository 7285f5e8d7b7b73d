import type { ChatTool } from '#lib/events/chat-request'
import { addWords } from './words.ts'

/** Weight of a word by where it stands: a name says most about what a tool is for. */
const weights = { name: 3, parameter: 1.5, description: 1 } as const

/** A tool as a bag of weighted stems, and what a call of it requires. */
export interface ToolProfile {
  words: ReadonlyMap<string, number>
  /** Euclidean length of `words`. */
  length: number
  required: { numbers: number; values: number; choices: readonly (readonly string[])[] }
}

type Schema = Record<string, unknown>

export function profileTool(tool: ChatTool): ToolProfile {
  const { name, description, parameters } = tool.function
  const words = new Map<string, number>()
  const add = (text: string, weight: number) =>
    addWords(text, (stem) => {
      if ((words.get(stem) ?? 0) < weight) words.set(stem, weight)
    })
  add(name, weights.name)
  if (description) add(description, weights.description)

  const required = { numbers: 0, values: 0, choices: [] as string[][] }
  const properties = asSchema(parameters?.['properties'])
  const requiredNames = Array.isArray(parameters?.['required']) ? parameters['required'] : []
  for (const [key, value] of Object.entries(properties ?? {})) {
    const schema = asSchema(value)
    add(key, weights.parameter)
    if (typeof schema?.['description'] === 'string') add(schema['description'], weights.description)
    if (schema && requiredNames.includes(key)) countRequired(schema, required)
  }
  let squares = 0
  for (const weight of words.values()) squares += weight * weight
  return { words, length: Math.sqrt(squares), required }
}

function countRequired(schema: Schema, required: { numbers: number; values: number; choices: string[][] }): void {
  const choices = schema['enum']
  if (Array.isArray(choices)) required.choices.push(choices.map((choice) => String(choice).toLowerCase()))
  else if (schema['type'] === 'integer' || schema['type'] === 'number') required.numbers++
  // A yes or no can be read from any request.
  else if (schema['type'] !== 'boolean') required.values++
}

function asSchema(value: unknown): Schema | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Schema) : undefined
}
