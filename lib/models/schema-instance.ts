type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
type Schema = Readonly<Record<string, unknown>>

const maxDepth = 12

/**
 * A small value in the shape of a JSON Schema: required members only, first choices, `label` for free text.
 * Deterministic. Best effort: patterns, dependencies and conditions are not followed.
 */
export function schemaInstance(schema: unknown, label: string): Json {
  const root = isSchema(schema) ? schema : {}
  return instance(root, root, label, 0)
}

function instance(schema: Schema, root: Schema, label: string, depth: number): Json {
  if (depth > maxDepth) return null
  const next = (inner: unknown) => instance(isSchema(inner) ? inner : {}, root, label, depth + 1)
  if (typeof schema['$ref'] === 'string') return next({ ...resolve(root, schema['$ref']), ...without(schema, '$ref') })
  if ('const' in schema) return schema['const'] as Json
  if (Array.isArray(schema['enum'])) return (schema['enum'][0] ?? null) as Json
  for (const key of ['anyOf', 'oneOf'])
    if (Array.isArray(schema[key]) && schema[key].length > 0) return next(merge(without(schema, key), [schema[key][0]]))
  if (Array.isArray(schema['allOf'])) return next(merge(without(schema, 'allOf'), schema['allOf']))
  switch (typeOf(schema)) {
    case 'object':
      return objectOf(schema, next)
    case 'array':
      return Array.from({ length: count(schema['minItems']) }, () => next(schema['items']))
    case 'integer':
    case 'number':
      return numberIn(schema)
    case 'boolean':
      return false
    case 'null':
      return null
    default:
      return textFor(schema, label)
  }
}

function typeOf(schema: Schema): unknown {
  const { type } = schema
  if (Array.isArray(type)) return type.find((each) => each !== 'null') ?? 'null'
  if (type !== undefined) return type
  if ('properties' in schema || 'required' in schema) return 'object'
  return 'items' in schema ? 'array' : 'string'
}

function objectOf(schema: Schema, next: (inner: unknown) => Json): Json {
  const properties = isSchema(schema['properties']) ? schema['properties'] : {}
  const required = Array.isArray(schema['required']) ? schema['required'] : []
  return Object.fromEntries(required.map((name) => [String(name), next(properties[String(name)])]))
}

function numberIn(schema: Schema): number {
  const step = numeric(schema['multipleOf']) ?? (schema['type'] === 'number' ? undefined : 1)
  const above = numeric(schema['exclusiveMinimum'])
  const below = numeric(schema['exclusiveMaximum'])
  const low = numeric(schema['minimum']) ?? (above === undefined ? undefined : above + (step ?? 0.5))
  const high = numeric(schema['maximum']) ?? (below === undefined ? undefined : below - (step ?? 0.5))
  const wanted = low !== undefined && low > 0 ? low : high !== undefined && high < 0 ? high : 0
  if (step === undefined) return wanted
  return wanted > 0 ? Math.ceil(wanted / step) * step : Math.floor(wanted / step) * step
}

const formats: Readonly<Record<string, string>> = {
  date: '2000-01-01',
  time: '00:00:00Z',
  'date-time': '2000-01-01T00:00:00Z',
  email: 'stand-in@example.invalid',
  uri: 'https://stand-in.example.invalid/',
  uuid: '00000000-0000-0000-0000-000000000000',
}

function textFor(schema: Schema, label: string): string {
  const text = formats[String(schema['format'])] ?? label
  const cut = text.slice(0, numeric(schema['maxLength']) ?? text.length)
  return cut.padEnd(Math.min(count(schema['minLength']), 10_000), '.')
}

/** Only `#/a/b` within the same schema. */
function resolve(root: Schema, ref: string): Schema {
  let at: unknown = root
  for (const part of ref.replace(/^#\/?/, '').split('/').filter(Boolean))
    at = isSchema(at) ? at[part.replaceAll('~1', '/').replaceAll('~0', '~')] : undefined
  return isSchema(at) ? at : {}
}

function merge(base: Schema, parts: readonly unknown[]): Schema {
  const merged: Record<string, unknown> = { ...base }
  for (const part of parts.filter(isSchema)) {
    const properties = { ...(merged['properties'] as object), ...(part['properties'] as object) }
    const required = [...((merged['required'] as unknown[]) ?? []), ...((part['required'] as unknown[]) ?? [])]
    Object.assign(merged, part)
    if (Object.keys(properties).length > 0) merged['properties'] = properties
    if (required.length > 0) merged['required'] = [...new Set(required)]
  }
  return merged
}

function without(schema: Schema, key: string): Schema {
  return Object.fromEntries(Object.entries(schema).filter(([name]) => name !== key))
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function numeric(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

function count(value: unknown): number {
  return Math.max(0, Math.min(1_000, Math.ceil(numeric(value) ?? 0)))
}
