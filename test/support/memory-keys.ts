import { randomBytes } from 'node:crypto'
import { dataKeyOf, type DataKey, type DataKeys } from '#lib/erasure/data-keys'

/** Data keys in memory: one for each of the tenants, until it is erased. */
export async function memoryKeys(...tenantIds: string[]): Promise<DataKeys & { erase(tenantId: string): void }> {
  const keys = new Map<string, DataKey>()
  for (const tenantId of tenantIds) keys.set(tenantId, await dataKeyOf(`key-of-${tenantId}`, randomBytes(32)))
  return {
    newest: (tenantId) => Promise.resolve(keys.get(tenantId)),
    byId(tenantId, keyId) {
      const key = keys.get(tenantId)
      return Promise.resolve(key?.id === keyId ? key : undefined)
    },
    erase: (tenantId) => void keys.delete(tenantId),
  }
}
