import { readSchema, schemaNames, type SchemaName } from './schemas.ts'
import { inNamespace, topicNames, topics } from './topics.ts'

/** Schemas of whole values: all but those that exist only as types within others. */
export type EventName = Exclude<SchemaName, 'attempt' | 'decision'>

export interface Subject {
  subject: string
  name: EventName
}

const auditNamespace = 'dev.shunt.audit'
const auditBodyNames = schemaNames.filter((name) => readSchema(name).namespace === auditNamespace) as EventName[]

/**
 * Every subject of the registry with its schema: TopicNameStrategy for topics, twins included, and the record's full
 * name for audit bodies, which lie within an AuditRecord whatever the topic is called.
 */
export function subjectsIn(namespace: string): Subject[] {
  const ofTopics = topicNames.flatMap((topic) => {
    const name: SchemaName | null = topics[topic].schema
    return name === null ? [] : [{ subject: `${inNamespace(namespace, topic)}-value`, name: name as EventName }]
  })
  return [
    ...ofTopics,
    ...auditBodyNames.map((name) => ({ subject: `${auditNamespace}.${readSchema(name).name}`, name })),
  ]
}

/** Every schema that has a subject. */
export const eventNames: readonly EventName[] = [...new Set(subjectsIn('').map(({ name }) => name))]
