import { ShuntError } from '#lib/errors'
import { isObject, named } from './from-json.ts'

/** What happens to a field that no model is sent, and the paths of those that were taken out. */
export interface FieldRule {
  unsupportedFields: 'refuse' | 'strip'
  stripped: string[]
}

export type JsonObject = Record<string, unknown>

/** A request that does not have OpenAI's form. The message names the field and the remedy, never the value. */
export function malformed(path: string, problem: string): ShuntError {
  return new ShuntError('SHUNT_EVENT_INVALID', `request.${path} ${problem}`)
}

/** A request of a good form that asks for what Shunt does not do, and that means something else without it. */
export function unsupported(path: string, problem: string): ShuntError {
  return new ShuntError('SHUNT_REQUEST_UNSUPPORTED', `request.${path} ${problem}`)
}

/** Notes the path as stripped, or throws SHUNT_REQUEST_UNSUPPORTED: as the policy says. */
export function stripOrRefuse(rule: FieldRule, path: string, problem: string): void {
  if (rule.unsupportedFields === 'refuse')
    throw unsupported(path, `${problem}; leave it out, or set request.unsupportedFields: strip in the policy`)
  rule.stripped.push(path)
}

/** Takes out every field outside `known`; one that is null says nothing and goes silently. */
export function keepKnown(rule: FieldRule, object: JsonObject, known: ReadonlySet<string>, path: string): void {
  for (const key of Object.keys(object)) {
    if (known.has(key)) continue
    if (object[key] !== null)
      stripOrRefuse(rule, path === '' ? named(key) : `${path}.${named(key)}`, 'is not supported')
    delete object[key]
  }
}

export function objectAt(value: unknown, path: string): JsonObject {
  if (!isObject(value)) throw malformed(path, 'must be an object')
  return value
}

export function stringAt(value: unknown, path: string): string {
  if (typeof value !== 'string') throw malformed(path, 'must be a string')
  return value
}

/** A function's or schema's name, as OpenAI takes it, and with the dots of MCP servers. */
const nameForm = /^[a-zA-Z0-9_.-]{1,64}$/

export function nameAt(value: unknown, path: string): string {
  if (typeof value !== 'string' || !nameForm.test(value))
    throw malformed(path, 'must be 1 to 64 letters, digits, _ . -')
  return value
}

/** Optional fields, of the given type; one that is null is taken out. */
export function optionalFields(
  object: JsonObject,
  path: string,
  types: Readonly<Record<string, 'string' | 'boolean' | 'object'>>,
): void {
  for (const key in types) {
    const value = object[key]
    if (value === undefined) continue
    if (value === null) delete object[key]
    else if (types[key] === 'object' ? !isObject(value) : typeof value !== types[key])
      throw malformed(`${path}.${key}`, types[key] === 'object' ? 'must be an object' : `must be a ${types[key]}`)
  }
}
