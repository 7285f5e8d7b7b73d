/** Writes lib/events/types.generated.ts from schemas/. With --check it fails where the file is not what it would write. */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { readSchema, schemaNames, type AvroNode } from '../lib/events/schemas.ts'

const target = fileURLToPath(new URL('../lib/events/types.generated.ts', import.meta.url))
const primitives: Record<string, string> = {
  string: 'string',
  int: 'number',
  long: 'number',
  double: 'number',
  boolean: 'boolean',
  bytes: 'Buffer',
  null: 'null',
}
const blocks: string[] = []

function typeOf(node: AvroNode): string {
  if (typeof node === 'string') return primitives[node] ?? node.split('.').at(-1)!
  if (Array.isArray(node)) {
    const members = node.map(typeOf)
    return [...members.filter((member) => member !== 'null'), ...members.filter((member) => member === 'null')].join(
      ' | ',
    )
  }
  const name = node['name'] as string
  switch (node['type']) {
    case 'array':
      return `${parenthesised(typeOf(node['items'] as AvroNode))}[]`
    case 'map':
      return `Record<string, ${typeOf(node['values'] as AvroNode)}>`
    case 'enum': {
      const symbols = node['symbols'] as string[]
      blocks.push(`export type ${name} = ${symbols.map((symbol) => `'${symbol}'`).join(' | ')}\n`)
      return name
    }
    case 'record': {
      const fields = node['fields'] as { name: string; type: AvroNode; doc?: string }[]
      const lines = fields.map(
        (field) => `${field.doc ? `  /** ${field.doc} */\n` : ''}  ${field.name}: ${typeOf(field.type)}\n`,
      )
      blocks.push(
        `${typeof node['doc'] === 'string' ? `/** ${node['doc']} */\n` : ''}export interface ${name} {\n${lines.join('')}}\n`,
      )
      return name
    }
    default:
      return typeOf(node['type'] as AvroNode)
  }
}

function parenthesised(type: string): string {
  return type.includes('|') ? `(${type})` : type
}

const eventTypes = schemaNames.map(
  (name) => `  ${name.includes('-') ? `'${name}'` : name}: ${typeOf(readSchema(name))}\n`,
)
blocks.push(
  `/** The interface of each schema, by the name of its file. */\nexport interface EventTypes {\n${eventTypes.join('')}}\n`,
)
const text = `// From schemas/*.avsc by scripts/generate-events.ts. Do not edit.\n\n${blocks.join('\n')}`

if (process.argv.includes('--check')) {
  if (readFileSync(target, 'utf8') !== text) {
    console.error('lib/events/types.generated.ts is not what schemas/ gives: run `npm run generate`')
    process.exitCode = 1
  }
} else writeFileSync(target, text)
