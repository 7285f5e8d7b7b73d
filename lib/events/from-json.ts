import { ShuntError } from '#lib/errors'
import { maxExactLong } from './avro-bounds.ts'
import { bundledSchema, type AvroNode } from './schemas.ts'
import type { EventName } from './subjects.ts'
import type { EventTypes } from './types.generated.ts'

/** Turns a plain JSON value into a field's value. Throws a ShuntError that names the path. */
type Read = (value: unknown, path: string) => unknown

interface JsonForm<N extends EventName> {
  /** Throws SHUNT_EVENT_INVALID that names the field and the remedy, never its value. */
  read(value: unknown): EventTypes[N]
}

/**
 * The plain JSON form of a schema's values: the fields of the record by name, the default where one is absent, enums by
 * symbol, no type tags on unions. Unknown fields are errors: a constraint that is misspelt must not open a door.
 * `custom` reads the fields of the outermost record that it names.
 */
export function jsonFormOf<N extends EventName>(name: N, custom: Record<string, Read> = {}): JsonForm<N> {
  const definitions = new Map<string, Read>()
  const read = compile(bundledSchema(name), '', definitions, custom)
  return { read: (value) => read(value, '') as EventTypes[N] }
}

function compile(
  node: AvroNode,
  namespace: string,
  definitions: Map<string, Read>,
  custom: Record<string, Read>,
): Read {
  const inner = (node: AvroNode, space = namespace): Read => compile(node, space, definitions, {})
  if (typeof node === 'string')
    return primitives[node] ?? definitions.get(node.includes('.') ? node : `${namespace}.${node}`)!
  if (Array.isArray(node)) {
    const reads = node.filter((branch) => branch !== 'null').map((branch) => inner(branch))
    const [read] = reads
    if (!read || reads.length > 1) throw new TypeError('the JSON form knows only unions of null and one other type')
    return (value, path) => (value === null ? null : read(value, path))
  }
  const space = typeof node['namespace'] === 'string' ? node['namespace'] : namespace
  switch (node['type']) {
    case 'record': {
      const read = recordOf(node['fields'] as Field[], (field) => custom[field.name] ?? inner(field.type, space))
      definitions.set(`${space}.${String(node['name'])}`, read)
      return read
    }
    case 'enum': {
      const read = enumOf(node['symbols'] as string[])
      definitions.set(`${space}.${String(node['name'])}`, read)
      return read
    }
    case 'array': {
      const item = inner(node['items'] as AvroNode)
      return (value, path) => {
        if (!Array.isArray(value)) throw invalid(path, 'must be an array')
        return value.map((entry, i) => item(entry, `${path}[${i}]`))
      }
    }
    case 'map': {
      const item = inner(node['values'] as AvroNode)
      return (value, path) => {
        if (!isObject(value)) throw invalid(path, 'must be an object')
        return Object.fromEntries(
          Object.entries(value).map(([key, entry]) => [key, item(entry, `${path}.${named(key)}`)]),
        )
      }
    }
    default:
      return inner(node['type'] as AvroNode)
  }
}

interface Field {
  name: string
  type: AvroNode
  default?: unknown
}

function recordOf(fields: readonly Field[], readOf: (field: Field) => Read): Read {
  const reads = new Map(fields.map((field) => [field.name, { field, read: readOf(field) }]))
  const names = [...reads.keys()].join(', ')
  return (value, path) => {
    if (!isObject(value)) throw invalid(path, 'must be an object')
    const at = (name: string): string => (path === '' ? name : `${path}.${name}`)
    for (const key of Object.keys(value))
      if (!reads.has(key)) throw invalid(at(named(key)), `is no field; known are ${names}`)
    const record: Record<string, unknown> = {}
    for (const { field, read } of reads.values()) {
      const given = value[field.name]
      if (given !== undefined) record[field.name] = read(given, at(field.name))
      else if (field.default !== undefined) record[field.name] = structuredClone(field.default)
      else throw invalid(at(field.name), 'is missing')
    }
    return record
  }
}

function enumOf(symbols: readonly string[]): Read {
  return (value, path) => {
    if (typeof value !== 'string' || !symbols.includes(value))
      throw invalid(path, `must be one of ${symbols.join(', ')}`)
    return value
  }
}

const wholeNumber =
  (min: number, max: number): Read =>
  (value, path) => {
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max)
      throw invalid(path, `must be a whole number up to ${max}, not in quotes`)
    return value
  }

const primitives: Record<string, Read> = {
  string: (value, path) => {
    if (typeof value !== 'string') throw invalid(path, 'must be a string')
    return value
  },
  boolean: (value, path) => {
    if (typeof value !== 'boolean') throw invalid(path, 'must be true or false, not in quotes')
    return value
  },
  int: wholeNumber(-(2 ** 31), 2 ** 31 - 1),
  long: wholeNumber(-maxExactLong, maxExactLong),
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A name from outside, fit for a message. */
export function named(key: string): string {
  return key.length <= 64 && /^[\x20-\x7e]+$/.test(key) ? key : JSON.stringify(key.slice(0, 64))
}

function invalid(path: string, problem: string): ShuntError {
  return new ShuntError('SHUNT_EVENT_INVALID', `${path === '' ? 'the value' : path} ${problem}`)
}
