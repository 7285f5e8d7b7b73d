import type avsc from 'avsc'
import * as fc from 'fast-check'
import { maxExactLong } from '#lib/events/avro-bounds'
import { avroType } from '#lib/events/avro-type'
import type { EventName } from '#lib/events/subjects'
import type { EventTypes } from '#lib/events/types.generated'

/** Any value that the schema can write, sensible or not. */
export function avroArbitrary<N extends EventName>(name: N): fc.Arbitrary<EventTypes[N]> {
  return arbitraryOf(avroType(name)) as fc.Arbitrary<EventTypes[N]>
}

const text = fc.string({ unit: 'binary', maxLength: 20 })

function arbitraryOf(type: avsc.Type): fc.Arbitrary<unknown> {
  switch (type.typeName) {
    case 'null':
      return fc.constant(null)
    case 'boolean':
      return fc.boolean()
    case 'int':
      return fc.integer()
    case 'long':
      return fc.integer({ min: -maxExactLong, max: maxExactLong })
    case 'string':
      return text
    case 'bytes':
      return fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes))
    case 'enum':
      return fc.constantFrom(...(type as avsc.types.EnumType).symbols)
    case 'array':
      return fc.array(arbitraryOf((type as avsc.types.ArrayType).itemsType), { maxLength: 3 })
    case 'map':
      // An object cannot take `__proto__` by assignment, which is how avsc fills a map.
      return fc.dictionary(
        text.filter((key) => key !== '__proto__'),
        arbitraryOf((type as avsc.types.MapType).valuesType as avsc.Type),
        { maxKeys: 3, noNullPrototype: true },
      )
    case 'union:unwrapped':
      return fc.oneof(...(type as avsc.types.UnwrappedUnionType).types.map(arbitraryOf))
    case 'record':
      return fc.record(
        Object.fromEntries(
          (type as avsc.types.RecordType).fields.map((field) => [field.name, arbitraryOf(field.type)]),
        ),
        { noNullPrototype: true },
      )
    default:
      throw new Error(`no arbitrary for ${type.typeName}`)
  }
}
