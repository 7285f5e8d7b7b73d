import { Ajv, type Options, type ValidateFunction } from 'ajv'
import { Ajv2019 } from 'ajv/dist/2019.js'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'

/** What a schema says of a JSON text. The reasons name the schema's own words and never the text's. */
export type SchemaVerdict =
  | { kind: 'fits' }
  | { kind: 'differs'; why: string }
  /** Nothing can be held against it: no JSON Schema, one that points elsewhere, one that recurses without end. */
  | { kind: 'unusable'; why: string }

export interface SchemaChecker {
  /** `key` stands for the schema: equal keys, equal texts. */
  check(key: string, schemaText: string, json: string): SchemaVerdict
}

export interface SchemaCheckerOptions {
  /** Schemas that are kept compiled. @default 500 */
  maxSchemas: number
  /** Their text in all, characters: compiled they take about twenty times as much. @default 2 million */
  maxSchemaChars: number
}

export const schemaCheckerDefaults: SchemaCheckerOptions = { maxSchemas: 500, maxSchemaChars: 2_000_000 }

/** A deeper value would run the compiled code out of its stack; no model writes one that means something. */
const maxNesting = 128
const maxReasonChars = 200

/**
 * ajv with schemas that are a tenant's data, which ajv's own security page calls untrusted and warns of. What is done
 * about each danger:
 *
 * - Code: ajv writes JavaScript and runs it by `new Function`. Whatever comes from the schema goes through its CodeGen
 *   templates, which put it in as a quoted literal or refuse it (a name that is no identifier), so that no schema can
 *   add code of its own. `$data`, which would read parts of the schema from the answer, stays off.
 * - Time and memory of a schema or a regular expression: not here. The caller runs this in a thread of its own, with
 *   limits (schema-thread.ts); errors are not collected (`allErrors` off), the first one ends a check.
 * - Other tenants: each schema gets an Ajv of its own, so that no `$id` of one is ever found, replaced or refused because
 *   of another's. It knows no other document, and there is no loader: a `$ref` that leads out does not compile.
 * - Promises: a schema marked `$async` would compile to a function whose answer is always truthy. It is refused.
 * - Prototypes: `ownProperties`, or `required: ["toString"]` would be met by every object.
 *
 * Not strict: vendors' keywords and unknown formats are annotations, as the standard has it. Formats that ajv-formats
 * knows are asserted. `multipleOf` allows for binary fractions: 19.99 is a multiple of 0.01.
 */
const options: Options = {
  strict: false,
  logger: false,
  meta: false,
  validateSchema: false,
  ownProperties: true,
  multipleOfPrecision: 9,
  unicodeRegExp: true,
  code: { regExp: Object.assign(toRegExp, { code: 'toRegExp' }) },
}

/** As the standard has it, with the flag u; many patterns escape what that flag does not let them escape. */
function toRegExp(pattern: string, flags: string): RegExp {
  try {
    return new RegExp(pattern, flags)
  } catch {
    return new RegExp(pattern, flags.replace('u', ''))
  }
}

type Dialect = typeof Ajv | typeof Ajv2019 | typeof Ajv2020

/** Draft 4 and 6 differ little from 7; what differs is no schema to it. */
const dialects: readonly (readonly [RegExp, Dialect])[] = [
  [/^https?:\/\/json-schema\.org\/draft\/2020-12\/schema#?$/, Ajv2020],
  [/^https?:\/\/json-schema\.org\/draft\/2019-09\/schema#?$/, Ajv2019],
  [/^https?:\/\/json-schema\.org\/draft-0[467]\/schema#?$/, Ajv],
]

/** Tools that name no dialect come from all ages: the newest that takes the schema, of the two that matter. */
const unnamed: readonly Dialect[] = [Ajv2020, Ajv]

type Compiled = { validate: ValidateFunction } | { unusable: string }

/** Compiles and keeps what was used last. Slow to begin with: the first schema of a dialect takes about 100 ms. */
export function createSchemaChecker(limits: SchemaCheckerOptions = schemaCheckerDefaults): SchemaChecker {
  const kept = new Map<string, { compiled: Compiled; chars: number }>()
  let keptChars = 0
  const metaOf = new Map<Dialect, Ajv>()

  function compiledFor(key: string, schemaText: string): Compiled {
    const known = kept.get(key)
    if (known) {
      // Last in the order of the map is used last.
      kept.delete(key)
      kept.set(key, known)
      return known.compiled
    }
    const compiled = compile(schemaText, whyNoSchema)
    kept.set(key, { compiled, chars: schemaText.length })
    keptChars += schemaText.length
    for (const [oldest, { chars }] of kept) {
      if (kept.size <= limits.maxSchemas && keptChars <= limits.maxSchemaChars) break
      kept.delete(oldest)
      keptChars -= chars
    }
    return compiled
  }

  /** Held against the dialect's meta-schema alone, by an instance that keeps nothing of it; null when it is a schema. */
  function whyNoSchema(schema: object, dialect: Dialect): string | null {
    let meta = metaOf.get(dialect)
    if (!meta) metaOf.set(dialect, (meta = new dialect({ strict: false, logger: false })))
    const { $schema: _, ...unmarked } = schema as Record<string, unknown>
    if (meta.validateSchema(unmarked) === true) return null
    const [error] = meta.errors ?? []
    return `no JSON Schema: ${error?.instancePath ?? ''} ${error?.message ?? ''}`
  }

  return {
    check(key, schemaText, json) {
      const compiled = compiledFor(key, schemaText)
      if ('unusable' in compiled) return { kind: 'unusable', why: printable(compiled.unusable) }
      const value: unknown = JSON.parse(json)
      if (nestsDeeper(value, maxNesting)) return { kind: 'differs', why: `nests more than ${maxNesting} deep` }
      const { validate } = compiled
      try {
        if (validate(value)) return { kind: 'fits' }
        const [error] = validate.errors ?? []
        return { kind: 'differs', why: printable(`${error?.keyword ?? 'schema'} at ${error?.schemaPath ?? '#'}`) }
      } catch (error) {
        // A value of so few levels ends any recursion that can end.
        const why = error instanceof RangeError ? 'the schema recurses without end' : 'the schema cannot be run'
        return { kind: 'unusable', why }
      } finally {
        // They point at the answer.
        validate.errors = null
      }
    },
  }
}

function compile(schemaText: string, whyNoSchema: (schema: object, dialect: Dialect) => string | null): Compiled {
  const schema = JSON.parse(schemaText) as Record<string, unknown>
  if (schema['$async'] !== undefined) return { unusable: '$async is not supported' }
  const { $schema: named } = schema
  const known = typeof named === 'string' ? dialects.find(([form]) => form.test(named)) : undefined
  let unusable = ''
  for (const dialect of known ? [known[1]] : unnamed)
    try {
      const why = whyNoSchema(schema, dialect)
      if (why === null) return { validate: addFormats.default(new dialect(options)).compile(schema) }
      unusable ||= why
    } catch (error) {
      unusable ||= whyNotCompiled(error)
    }
  return { unusable }
}

function whyNotCompiled(error: unknown): string {
  if (error instanceof RangeError) return 'too large, or it recurses without end'
  return error instanceof Error ? error.message : 'does not compile'
}

function nestsDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return levels === 0 || Object.values(value).some((member) => nestsDeeper(member, levels - 1))
}

/** A tenant's own words, fit for a log. */
function printable(text: string): string {
  const clean = text.replaceAll(/[^\x20-\x7e]/g, '?')
  return clean.length > maxReasonChars ? `${clean.slice(0, maxReasonChars)}...` : clean
}
