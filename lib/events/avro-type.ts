import avsc from 'avsc'
import { bundledSchema, type AvroNode, type SchemaName } from './schemas.ts'

/** The schema's text as it is registered and looked up. */
export function schemaText(name: SchemaName): string {
  return JSON.stringify(bundledSchema(name))
}

/** Our own type of the schema. */
export function avroType(name: SchemaName): avsc.Type {
  return avroTypeOf(bundledSchema(name))
}

/** Unions are bare values: ours are all null and one other type. */
export function avroTypeOf(schema: AvroNode): avsc.Type {
  // avsc's typings know only part of the Avro schemas that it accepts.
  return avsc.Type.forSchema(schema as string, { omitRecordMethods: true, wrapUnions: 'never' })
}
