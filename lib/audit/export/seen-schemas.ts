import type { Registry } from '#lib/events/registry'

/** Ids in bytes that nobody could read may be anything: of so many different ones at most is the registry asked. */
const maxSchemas = 10_000

/** Collects the schemas of framed values, so that they can be decoded when the registry is gone. */
export function createSeenSchemas(schemaById: Registry['schemaById']) {
  const schemas: Record<string, unknown> = {}
  const asked = new Set<number>()
  return {
    async add(value: Buffer | null | undefined): Promise<void> {
      if (!value || value.length <= 5 || value[0] !== 0) return
      const id = value.readUInt32BE(1)
      if (asked.has(id) || asked.size >= maxSchemas) return
      asked.add(id)
      const type = await schemaById(id)
      if (type !== undefined && typeof type !== 'string') schemas[id] = type.schema({ exportAttrs: true })
    },
    schemas: () => schemas,
  }
}
