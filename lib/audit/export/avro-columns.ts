import avsc from 'avsc'
import { avroType } from '#lib/events/avro-type'
import type { EventName } from '#lib/events/subjects'
import type { EventTypes } from '#lib/events/types.generated'
import type { Column, ColumnKind } from './columns.ts'

/**
 * The columns of a schema: a field within a record is `outer_inner`, a list of strings is a list, bytes are hex text (they
 * are hashes), and what has no flat form (maps, lists of records) is JSON text. Derived and not written down, so that a
 * field that a schema gains is in the next export.
 */
export function avroColumns<N extends EventName, Row>(name: N, of: (row: Row) => EventTypes[N]): Column<Row>[] {
  return fieldsOf(avroType(name), [], false).map(({ path, kind, nullable, convert }) => ({
    name: path.join('_'),
    kind,
    nullable,
    of(row) {
      let value: unknown = of(row)
      for (const key of path) {
        if (value === null || value === undefined) return null
        value = (value as Record<string, unknown>)[key]
      }
      return value === null || value === undefined || !convert ? value : convert(value)
    },
  }))
}

interface Leaf {
  path: string[]
  kind: ColumnKind
  nullable: boolean
  convert: ((value: unknown) => unknown) | null
}

function fieldsOf(type: avsc.Type, path: string[], isNullable: boolean): Leaf[] {
  if (avsc.Type.isType(type, 'record'))
    return (type as avsc.types.RecordType).fields.flatMap((field) =>
      fieldsOf(field.type, [...path, field.name], isNullable),
    )
  if (avsc.Type.isType(type, 'union')) {
    const others = (type as avsc.types.UnwrappedUnionType).types.filter((each) => !avsc.Type.isType(each, 'null'))
    if (others.length === 1) return fieldsOf(others[0]!, path, true)
  }
  return [{ path, nullable: isNullable, ...formOf(type) }]
}

function formOf(type: avsc.Type): Pick<Leaf, 'kind' | 'convert'> {
  if (avsc.Type.isType(type, 'boolean')) return { kind: 'boolean', convert: null }
  if (avsc.Type.isType(type, 'int')) return { kind: 'int32', convert: null }
  if (avsc.Type.isType(type, 'long')) return { kind: 'int64', convert: null }
  if (avsc.Type.isType(type, 'string') || avsc.Type.isType(type, 'enum')) return { kind: 'string', convert: null }
  if (avsc.Type.isType(type, 'bytes'))
    return { kind: 'string', convert: (value) => Buffer.from(value as Uint8Array).toString('hex') }
  if (avsc.Type.isType(type, 'array') && avsc.Type.isType((type as avsc.types.ArrayType).itemsType, 'string'))
    return { kind: 'strings', convert: null }
  return { kind: 'string', convert: (value) => JSON.stringify(value) }
}
