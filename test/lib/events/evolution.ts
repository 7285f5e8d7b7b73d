import type { AvroNode } from '#lib/events/schemas'

interface RecordForm {
  kind: 'record'
  fields: Map<string, { type: string; hasDefault: boolean }>
}
interface EnumForm {
  kind: 'enum'
  symbols: string[]
  hasDefault: boolean
}
type Form = RecordForm | EnumForm

/** Records and enums of a bundled schema by full name. */
export function formsOf(schema: AvroNode): Map<string, Form> {
  const forms = new Map<string, Form>()
  const visit = (node: unknown, space: string): void => {
    if (Array.isArray(node)) return node.forEach((branch) => visit(branch, space))
    if (typeof node !== 'object' || node === null) return
    const type = node as { [key: string]: unknown; fields?: Field[]; symbols?: string[] }
    const inner = typeof type['namespace'] === 'string' ? type['namespace'] : space
    const name = `${inner}.${String(type['name'])}`
    if (type['type'] === 'record') {
      const fields = type.fields!.map((field) => [
        field.name,
        { type: nameOf(field.type, inner), hasDefault: 'default' in field },
      ])
      forms.set(name, { kind: 'record', fields: new Map(fields as never) })
      for (const field of type.fields!) visit(field.type, inner)
    } else if (type['type'] === 'enum')
      forms.set(name, { kind: 'enum', symbols: type.symbols!, hasDefault: 'default' in type })
    for (const key of ['type', 'items', 'values']) visit(type[key], inner)
  }
  visit(schema, '')
  return forms
}

interface Field {
  name: string
  type: AvroNode
}

/** A type in a word, named types by their full name. */
function nameOf(node: AvroNode, space: string): string {
  if (typeof node === 'string') return node.includes('.') || /^[a-z]/.test(node) ? node : `${space}.${node}`
  if (Array.isArray(node)) return node.map((branch) => nameOf(branch, space)).join('|')
  if (node['type'] === 'record' || node['type'] === 'enum')
    return `${typeof node['namespace'] === 'string' ? node['namespace'] : space}.${String(node['name'])}`
  if (node['type'] === 'array') return `array<${nameOf(node['items'] as AvroNode, space)}>`
  if (node['type'] === 'map') return `map<${nameOf(node['values'] as AvroNode, space)}>`
  return nameOf(node['type'] as AvroNode, space)
}

/** What the rules forbid on the way from an older version to a newer one: stricter than FULL_TRANSITIVE. */
export function evolutionProblems(older: AvroNode, newer: AvroNode): string[] {
  const problems: string[] = []
  const now = formsOf(newer)
  for (const [name, before] of formsOf(older)) {
    const after = now.get(name)
    if (after?.kind !== before.kind) problems.push(`${name} was removed or renamed`)
    else if (before.kind === 'enum' && after.kind === 'enum') {
      for (const symbol of before.symbols)
        if (!after.symbols.includes(symbol)) problems.push(`${name} lost the symbol ${symbol}`)
    } else if (before.kind === 'record' && after.kind === 'record') {
      for (const [field, { type }] of before.fields)
        if (after.fields.get(field)?.type !== type) problems.push(`${name}.${field} was removed, renamed or retyped`)
      for (const [field, { hasDefault }] of after.fields)
        if (!before.fields.has(field) && !hasDefault) problems.push(`${name}.${field} is new and has no default`)
    }
  }
  return problems
}

/** What the rules forbid in any version. */
export function styleProblems(schema: AvroNode): string[] {
  const problems: string[] = []
  for (const [name, form] of formsOf(schema))
    if (form.kind === 'enum') {
      if (!form.hasDefault) problems.push(`${name} has no default symbol`)
    } else
      for (const [field, { type }] of form.fields)
        if (type.includes('|') && !/^null\|[^|]+$/.test(type)) problems.push(`${name}.${field} is ${type}`)
  return problems
}
