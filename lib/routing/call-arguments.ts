import type { ChatTool } from '#lib/events/chat-request'
import { canonicalJson } from '#lib/policy/canonical-json'

type JsonObject = Record<string, unknown>

/** The arguments of a call as a model wrote them. */
export interface CallArguments {
  /** Null where the text is no JSON object. */
  value: JsonObject | null
  /** Equal for equal arguments: order, white space and the form of a number (`1.0`, `1e0`) do not hide a repetition. */
  key: string
}

/** From here on a JavaScript number no longer tells integers apart: two long ids would look alike. */
const longNumber = /\d{16}/

export function readArguments(text: string): CallArguments {
  const trimmed = text.trim()
  // Many models write nothing for a call without arguments.
  if (trimmed === '' || trimmed === 'null') return { value: {}, key: '{}' }
  try {
    const value: unknown = JSON.parse(trimmed)
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return { value: value as JsonObject, key: longNumber.test(trimmed) ? trimmed : keyOf(value, trimmed) }
  } catch {
    // No JSON.
  }
  return { value: null, key: trimmed }
}

function keyOf(value: object, text: string): string {
  try {
    return canonicalJson(value)
  } catch {
    // Nested beyond the stack.
    return text
  }
}

/**
 * True where a required argument is missing, or one has another JSON type than the schema's. Only the first level and
 * only `required` and `type` are read: what a full validation would find beyond them costs more than it tells.
 */
export function misfits(value: JsonObject, parameters: ChatTool['function']['parameters']): boolean {
  const required: unknown = parameters?.['required']
  if (Array.isArray(required) && required.some((name) => typeof name === 'string' && !Object.hasOwn(value, name)))
    return true
  const properties: unknown = parameters?.['properties']
  if (typeof properties !== 'object' || properties === null) return false
  return Object.entries(value).some(([name, argument]) => {
    const schema: unknown = Object.hasOwn(properties, name) ? (properties as JsonObject)[name] : undefined
    return typeof schema === 'object' && schema !== null && !isOfType(argument, (schema as JsonObject)['type'])
  })
}

function isOfType(value: unknown, type: unknown): boolean {
  if (Array.isArray(type)) return type.length === 0 || type.some((one) => isOfType(value, one))
  switch (type) {
    case 'string':
    case 'boolean':
      return typeof value === type
    case 'number':
      return typeof value === 'number'
    case 'integer':
      return Number.isInteger(value)
    case 'array':
      return Array.isArray(value)
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value)
    case 'null':
      return value === null
    default:
      return true
  }
}
