import { ShuntError } from '#lib/errors'
import { avroTypeOf } from '#lib/events/avro-type'
import type { CodecDeps } from '#lib/events/codec'
import type { AvroNode } from '#lib/events/schemas'
import type { Manifest } from './manifest.ts'

const maxId = 0xffff_ffff

/** A registry of the schemas that an export brings with it. This release's own have ids that no value of it bears. */
export function manifestRegistry({ schemas }: Pick<Manifest, 'schemas'>): CodecDeps['registry'] {
  let next = maxId
  const own = new Map<string, number>()
  return {
    idOf(_subject, text) {
      while (schemas[next] !== undefined) next -= 1
      const id = own.get(text) ?? next--
      own.set(text, id)
      return Promise.resolve(id)
    },
    schemaById(id) {
      const schema = schemas[id]
      if (schema === undefined) return Promise.resolve(undefined)
      try {
        return Promise.resolve(avroTypeOf(schema as AvroNode))
      } catch (error) {
        return Promise.reject(
          new ShuntError('SHUNT_EXPORT_DAMAGED', `the manifest's schema ${id} is none; bring back its copy`, {
            cause: error,
          }),
        )
      }
    },
  }
}
