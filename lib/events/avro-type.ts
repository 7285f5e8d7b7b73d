import avsc from 'avsc'
import { bundledSchema, type SchemaName } from './schemas.ts'

/** The schema's text as it is registered and looked up. */
export function schemaText(name: SchemaName): string {
  return JSON.stringify(bundledSchema(name))
}

/** Our own type of the schema. Unions are bare values: ours are all null and one other type. */
export function avroType(name: SchemaName): avsc.Type {
  // avsc's typings know only part of the Avro schemas that it accepts.
  return avsc.Type.forSchema(bundledSchema(name) as string, { omitRecordMethods: true, wrapUnions: 'never' })
}
