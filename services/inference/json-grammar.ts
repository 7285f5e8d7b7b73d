/** A JSON Schema as it arrives: any object, or true for "any value". */
export type JsonSchema = Record<string, unknown> | boolean

export interface GrammarBuilder {
  /** Adds a rule and returns its name; one body is one rule, whatever it was asked to be called. */
  rule(name: string, body: string): string
  /** Name of a rule for any value that the schema takes. */
  schema(name: string, schema: JsonSchema): string
  /** GBNF text (llama.cpp's grammars) whose root is the body. */
  build(rootBody: string): string
}

/** llama.cpp refuses larger repetitions; a longer text is left without its bound. */
const MAX_REPETITIONS = 1_000

const primitives = {
  string: `"\\"" char* "\\""`,
  char: `[^"\\\\\\x7F\\x00-\\x1F] | "\\\\" (["\\\\bfnrt/] | "u" [0-9a-fA-F]{4})`,
  number: `"-"? int ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,3})?`,
  integer: `"-"? int`,
  int: `"0" | [1-9] [0-9]{0,15}`,
  boolean: `"true" | "false"`,
  null: `"null"`,
  value: `string | number | boolean | null | object | array`,
  object: `"{" (string ": " value (", " string ": " value)*)? "}"`,
  array: `"[" (value (", " value)*)? "]"`,
  date: `[0-9]{4} "-" ("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | [12] [0-9] | "3" [01])`,
  time: `([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{1,6})? ("Z" | [-+] [0-9]{2} ":" [0-9]{2})`,
} as const
type Primitive = keyof typeof primitives
const reserved: ReadonlySet<string> = new Set(['root', ...Object.keys(primitives)])

const typeNames: readonly string[] = ['string', 'number', 'integer', 'boolean', 'null', 'object', 'array']

/** Quotes a text for a grammar. Callers pass JSON text or tool names, which hold no control characters. */
export function literal(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`
}

/**
 * Turns JSON Schemas into one grammar. Spacing is fixed (`{"a": 1, "b": 2}`), because a weak model that may write blanks
 * sometimes writes nothing else. Why not node-llama-cpp's own? It makes every property required.
 * What a grammar cannot say is left open, for the caller's check to find: pattern, numeric bounds, uniqueItems, not,
 * if/then, references to other documents. Where properties are named, no others are written.
 */
export function createGrammarBuilder(): GrammarBuilder {
  const rules = new Map<string, string>()
  const refs = new Map<string, string>()

  function rule(wanted: string, body: string): string {
    const base = wanted.replaceAll(/[^a-zA-Z0-9]+/g, '-').replaceAll(/^-+|-+$/g, '') || 'rule'
    let name = base
    for (let n = 2; rules.has(name) || reserved.has(name); n++) {
      if (rules.get(name) === body) return name
      name = `${base}-${n}`
    }
    rules.set(name, body)
    return name
  }

  function visit(name: string, schema: unknown, root: unknown): string {
    if (!isRecord(schema)) return 'value'
    if (typeof schema['$ref'] === 'string') return visitRef(schema['$ref'], root)
    if ('const' in schema) return rule(name, literal(spaced(schema['const'])))
    if (Array.isArray(schema['enum']) && schema['enum'].length > 0)
      return rule(name, schema['enum'].map((value) => literal(spaced(value))).join(' | '))
    const options = schema['anyOf'] ?? schema['oneOf']
    if (Array.isArray(options) && options.length > 0)
      return rule(name, options.map((option, index) => visit(`${name}-${index + 1}`, option, root)).join(' | '))
    if (Array.isArray(schema['allOf'])) return visitAllOf(name, schema, schema['allOf'], root)
    const type = schema['type'] ?? impliedType(schema)
    if (Array.isArray(type) && type.length > 0)
      return rule(name, type.map((one) => visitType(`${name}-${String(one)}`, String(one), schema, root)).join(' | '))
    return visitType(name, typeof type === 'string' ? type : 'value', schema, root)
  }

  function visitType(name: string, type: string, schema: Record<string, unknown>, root: unknown): string {
    if (type === 'object') return visitObject(name, schema, root)
    if (type === 'array') return visitArray(name, schema, root)
    if (type === 'string') return visitString(name, schema)
    if (type === 'integer' && isNatural(schema['minimum'])) return 'int'
    return typeNames.includes(type) ? type : 'value'
  }

  function visitString(name: string, schema: Record<string, unknown>): string {
    const format = schema['format']
    if (format === 'date' || format === 'time') return rule(name, `"\\"" ${format} "\\""`)
    if (format === 'date-time') return rule(name, `"\\"" date "T" time "\\""`)
    const bounds = repetition(schema['minLength'], schema['maxLength'])
    return bounds === '*' ? 'string' : rule(name, `"\\"" char${bounds} "\\""`)
  }

  /** Named properties in their order, optional ones may be left out: two rules a property, with and without a comma. */
  function visitObject(name: string, schema: Record<string, unknown>, root: unknown): string {
    const properties = isRecord(schema['properties']) ? { ...schema['properties'] } : {}
    const required = new Set(Array.isArray(schema['required']) ? schema['required'] : [])
    for (const key of required) if (typeof key === 'string' && !Object.hasOwn(properties, key)) properties[key] = true
    const keys = Object.keys(properties)
    if (keys.length === 0) return visitMap(name, schema['additionalProperties'], root)
    let first = '""'
    let later = '""'
    for (const [index, key] of [...keys.entries()].toReversed()) {
      const place = `${name}-${index + 1}`
      const pair = `${literal(`${JSON.stringify(key)}: `)} ${visit(`${place}-value`, properties[key], root)}`
      const optional = !required.has(key)
      first = rule(`${place}-first`, optional ? `${pair} ${later} | ${first}` : `${pair} ${later}`)
      later = rule(`${place}-later`, optional ? `(", " ${pair})? ${later}` : `", " ${pair} ${later}`)
    }
    return rule(name, `"{" ${first} "}"`)
  }

  function visitMap(name: string, additional: unknown, root: unknown): string {
    if (additional === false) return rule(name, '"{}"')
    if (!isRecord(additional)) return 'object'
    const pair = `string ": " ${visit(`${name}-value`, additional, root)}`
    return rule(name, `"{" (${pair} (", " ${pair})*)? "}"`)
  }

  function visitArray(name: string, schema: Record<string, unknown>, root: unknown): string {
    const prefix: unknown[] = Array.isArray(schema['prefixItems']) ? schema['prefixItems'] : []
    if (prefix.length > 0) {
      const items = prefix.map((item, index) => visit(`${name}-${index + 1}`, item, root))
      return rule(name, `"[" ${items.join(' ", " ')} "]"`)
    }
    const item = visit(`${name}-item`, schema['items'] ?? true, root)
    const min = isNatural(schema['minItems']) ? schema['minItems'] : 0
    const max = isNatural(schema['maxItems']) ? schema['maxItems'] : undefined
    if (max === 0) return rule(name, '"[]"')
    const more = repetition(Math.max(0, min - 1), max === undefined ? undefined : max - 1)
    const list = `${item} (", " ${item})${more}`
    return rule(name, min === 0 ? `"[" (${list})? "]"` : `"[" ${list} "]"`)
  }

  /** Objects are merged; of anything else the first part alone is held to. */
  function visitAllOf(name: string, schema: Record<string, unknown>, parts: unknown[], root: unknown): string {
    const { allOf: _, ...own } = schema
    const resolved = [...parts, own].map((part) => resolve(part, root)).filter((part) => isRecord(part))
    if (!resolved.some((part) => part['type'] === 'object' || impliedType(part) === 'object'))
      return visit(name, parts[0], root)
    const merged: Record<string, unknown> = { type: 'object', properties: {}, required: [] }
    for (const part of resolved) {
      Object.assign(merged['properties'] as object, part['properties'])
      if (Array.isArray(part['required'])) (merged['required'] as unknown[]).push(...(part['required'] as unknown[]))
    }
    return visitObject(name, merged, root)
  }

  /** Named before it is visited, so that a schema may refer to itself. */
  function visitRef(ref: string, root: unknown): string {
    const known = refs.get(ref)
    if (known !== undefined) return known
    const target = resolve({ $ref: ref }, root)
    if (target === undefined) return 'value'
    const name = rule(`ref-${ref}`, `ref ${refs.size}`)
    refs.set(ref, name)
    rules.set(name, visit(`${name}-target`, target, root))
    return name
  }

  return {
    rule,
    schema: (name, schema) => {
      refs.clear()
      return visit(name, schema, schema)
    },
    build: (rootBody) => {
      const own = [...rules].map(([name, body]) => `${name} ::= ${body}`)
      const used = neededPrimitives([rootBody, ...rules.values()].join(' '))
      return [`root ::= ${rootBody}`, ...own, ...used.map((name) => `${name} ::= ${primitives[name]}`)].join('\n')
    },
  }
}

function neededPrimitives(text: string, found = new Set<Primitive>()): Primitive[] {
  const names = Object.keys(primitives) as Primitive[]
  for (const name of names) {
    if (found.has(name) || !new RegExp(`(^|[^a-zA-Z0-9-])${name}([^a-zA-Z0-9-]|$)`).test(text)) continue
    found.add(name)
    neededPrimitives(primitives[name], found)
  }
  return [...found]
}

/** A place within the same document: `#`, `#/$defs/claim`. */
function resolve(schema: unknown, root: unknown): unknown {
  if (!isRecord(schema) || typeof schema['$ref'] !== 'string') return schema
  if (!schema['$ref'].startsWith('#')) return undefined
  let place = root
  for (const part of schema['$ref'].split('/').slice(1)) {
    const key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')
    place = isRecord(place) && Object.hasOwn(place, key) ? place[key] : undefined
  }
  return place
}

function impliedType(schema: Record<string, unknown>): string | undefined {
  if ('properties' in schema || 'required' in schema || 'additionalProperties' in schema) return 'object'
  return 'items' in schema || 'prefixItems' in schema ? 'array' : undefined
}

/** JSON text with the spacing that the grammars write. */
export function spaced(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => spaced(item)).join(', ')}]`
  if (!isRecord(value)) return JSON.stringify(value)
  return `{${Object.entries(value)
    .map(([key, item]) => `${JSON.stringify(key)}: ${spaced(item)}`)
    .join(', ')}}`
}

function repetition(min: unknown, max: unknown): string {
  const least = isNatural(min) && min <= MAX_REPETITIONS ? min : 0
  if (isNatural(max) && max <= MAX_REPETITIONS && max >= least) return `{${least},${max}}`
  return least === 0 ? '*' : `{${least},}`
}

function isNatural(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
