import type { z } from 'zod'
import { didYouMean } from './did-you-mean.ts'
import type { PathProblem } from './problems.ts'
import { policySchema } from './schema.ts'

type Issue = z.core.$ZodIssue

/** The issues of zod in the words of a policy's author: what is wrong; the remedy. Never quotes a value: it may be a key. */
export function shapeProblems(data: unknown): PathProblem[] {
  const parsed = policySchema.safeParse(data)
  return parsed.success ? [] : parsed.error.issues.flatMap((issue) => describeIssue(issue, data))
}

function describeIssue(issue: Issue, data: unknown): PathProblem[] {
  const path = issue.path.map((part) => (typeof part === 'number' ? part : String(part)))
  const value = valueAt(data, path)
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(path, data)
    return issue.keys.map((key) => {
      const near = didYouMean(key, known)
      const remedy = near === undefined ? `known here: ${known.join(', ')}` : `did you mean ${near}?`
      return { path, key, message: `unknown key ${key}; ${remedy}` }
    })
  }
  if (value === undefined) return [{ path, message: `is missing; add it${expectation(issue)}` }]
  return [{ path, message: wrongValue(issue, value) }]
}

function wrongValue(issue: Exclude<Issue, { code: 'unrecognized_keys' }>, value: unknown): string {
  switch (issue.code) {
    case 'invalid_type':
      return `is ${nameOf(value)}; give ${aOr(issue.expected)}`
    case 'invalid_value':
    case 'invalid_union': {
      const values = valuesOf(issue)
      const near = typeof value === 'string' ? didYouMean(value, values) : undefined
      return `is none of the known values; use ${values.length === 1 ? values[0] : `one of ${values.join(', ')}`}${near === undefined ? '' : `: did you mean ${near}?`}`
    }
    case 'too_small':
      return issue.origin === 'array' || issue.origin === 'string'
        ? `is empty; give at least ${String(issue.minimum)}`
        : `is too small; give at least ${String(issue.minimum)}`
    case 'too_big':
      return `is too ${issue.origin === 'string' ? 'long' : 'big'}; give at most ${String(issue.maximum)}`
    case 'invalid_format':
      return issue.format === 'url' ? issue.message : `has a form that is not allowed; ${issue.message}`
    // The schema has no construct that reports one of these.
    case 'custom':
    case 'invalid_element':
    case 'invalid_key':
    case 'not_multiple_of':
    default:
      return issue.message
  }
}

function expectation(issue: Issue): string {
  if (issue.code === 'invalid_type') return ` as ${aOr(issue.expected)}`
  if (issue.code === 'invalid_value' || issue.code === 'invalid_union') return ` as ${valuesOf(issue).join(' or ')}`
  return ''
}

/** Every union of the schema is told apart by one key: what it may hold. */
function valuesOf(issue: Extract<Issue, { code: 'invalid_value' | 'invalid_union' }>): string[] {
  const values = issue.code === 'invalid_value' ? issue.values : 'options' in issue ? (issue.options ?? []) : []
  return values.map(String)
}

function aOr(expected: string): string {
  const names: Record<string, string> = {
    int: 'a whole number',
    number: 'a whole number',
    string: 'a text',
    boolean: 'true or false',
    array: 'a list',
    object: 'a mapping of keys to values',
  }
  return names[expected] ?? expected
}

function nameOf(value: unknown): string {
  if (value === null) return 'empty'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a mapping'
  if (typeof value === 'number') return Number.isInteger(value) ? 'a number' : 'a number with a fraction'
  return typeof value === 'string' ? 'a text' : 'true or false'
}

function valueAt(data: unknown, path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (value, part) =>
      typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[part] : undefined,
    data,
  )
}

/** Keys that the schema knows at a path of the data. */
function knownKeys(path: readonly (string | number)[], data: unknown): string[] {
  let node: z.core.$ZodType | undefined = policySchema
  path.forEach((part, depth) => (node = memberOf(node, part, valueAt(data, path.slice(0, depth)))))
  const object = branchOf(unwrapped(node), valueAt(data, path))
  return object?._zod.def.type === 'object' ? Object.keys((object as z.core.$ZodObject)._zod.def.shape) : []
}

function memberOf(node: z.core.$ZodType | undefined, part: string | number, value: unknown) {
  const inner = branchOf(unwrapped(node), value)
  if (inner?._zod.def.type === 'array') return (inner as z.core.$ZodArray)._zod.def.element
  if (inner?._zod.def.type === 'record') return (inner as z.core.$ZodRecord)._zod.def.valueType
  if (inner?._zod.def.type === 'object') return (inner as z.core.$ZodObject)._zod.def.shape[part]
  return undefined
}

/** Of a union the branch that the value chooses; any other node is its own. */
function branchOf(node: z.core.$ZodType | undefined, value: unknown): z.core.$ZodType | undefined {
  if (node?._zod.def.type !== 'union') return node
  const { options, discriminator } = (node as z.core.$ZodDiscriminatedUnion)._zod.def
  const chosen = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[discriminator] : null
  return options.find((option) => option._zod.propValues?.[discriminator]?.has(chosen as string))
}

/** Without the layers of default, optional and nullable. */
function unwrapped(node: z.core.$ZodType | undefined): z.core.$ZodType | undefined {
  let inner = node
  while (inner && 'innerType' in inner._zod.def) inner = inner._zod.def.innerType as z.core.$ZodType
  return inner
}
