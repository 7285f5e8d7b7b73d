import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** An Avro schema as it stands in an .avsc file. */
export type AvroNode = string | AvroNode[] | { [key: string]: unknown }

const schemasDir = fileURLToPath(new URL('../../schemas/', import.meta.url))

/** Files of schemas/, each after those it names types of. */
export const schemaNames = [
  'step',
  'attempt',
  'decision',
  'routed-step',
  'step-result',
  'audit-record',
  'decision-record',
  'attempt-record',
  'outcome-record',
  'duplicate-record',
  'lane-reset-record',
  'step-feedback',
  'control-order',
  'operator-record',
  'policy-activated-record',
  'policy-record',
] as const
export type SchemaName = (typeof schemaNames)[number]

/** The file as it is, with references to types of other files. */
export function readSchema(name: SchemaName): { name: string; namespace: string; [key: string]: unknown } {
  return JSON.parse(readFileSync(`${schemasDir}${name}.avsc`, 'utf8'))
}

let definitions: Map<string, AvroNode> | undefined

function namedDefinitions(): Map<string, AvroNode> {
  if (definitions) return definitions
  const found = new Map<string, AvroNode>()
  const visit = (node: unknown, namespace: string): void => {
    if (Array.isArray(node)) return node.forEach((item) => visit(item, namespace))
    if (typeof node !== 'object' || node === null) return
    const record = node as Record<string, unknown>
    const space = typeof record['namespace'] === 'string' ? record['namespace'] : namespace
    if (typeof record['name'] === 'string' && (record['type'] === 'record' || record['type'] === 'enum'))
      found.set(`${space}.${record['name']}`, { ...record, namespace: space })
    for (const key of ['fields', 'type', 'items', 'values']) visit(record[key], space)
  }
  for (const name of schemaNames) visit(readSchema(name), '')
  definitions = found
  return found
}

/**
 * The schema with every type of another file written out where it is first named, so that it stands alone:
 * what is registered, and what a client in another language downloads.
 */
export function bundledSchema(name: SchemaName): AvroNode {
  const defined = new Set<string>()
  const bundle = (node: AvroNode, namespace: string): AvroNode => {
    if (typeof node === 'string') {
      const full = node.includes('.') ? node : `${namespace}.${node}`
      const definition = namedDefinitions().get(full)
      return !definition ? node : defined.has(full) ? full : bundle(definition, namespace)
    }
    if (Array.isArray(node)) return node.map((item) => bundle(item, namespace))
    const space = typeof node['namespace'] === 'string' ? node['namespace'] : namespace
    const copy: Record<string, unknown> = { ...node }
    if (node['type'] === 'record' || node['type'] === 'enum') {
      const full = `${space}.${String(node['name'])}`
      if (defined.has(full)) return full
      defined.add(full)
      copy['namespace'] = space
    }
    if (node['type'] === 'record')
      copy['fields'] = (node['fields'] as { type: AvroNode }[]).map((field) => ({
        ...field,
        type: bundle(field.type, space),
      }))
    for (const key of ['items', 'values']) if (node[key] !== undefined) copy[key] = bundle(node[key] as AvroNode, space)
    if (typeof node['type'] === 'object') copy['type'] = bundle(node['type'] as AvroNode, space)
    return copy
  }
  return bundle(readSchema(name), '')
}
