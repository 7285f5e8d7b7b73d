import { writeOrder, type WriteOrderDeps } from '#lib/control/write-order'
import { ShuntError } from '#lib/errors'
import type { ControlOrder } from '#lib/events/types.generated'
import { deleteKeyFile, listKeyFiles } from './key-files.ts'

export interface Erasure {
  order: ControlOrder
  /** Ids of the keys that were deleted here; none where that was done at their source. */
  keyIds: string[]
}

/** Name of the order in agent.control. Services do nothing about it: it is for the audit, which the ledger writes. */
export function eraseOrderName(tenantId: string): string {
  return `erase/${tenantId}`
}

/**
 * Deletes all data keys of a tenant, and with them what was sealed. The order comes first: an erasure that is in no audit
 * could not be told from a loss. Files are not overwritten: on flash and on copy-on-write file systems that writes
 * elsewhere. Throws SHUNT_KAFKA_UNAVAILABLE (retryable; nothing was deleted) and SHUNT_CONFIG_INVALID for a directory that
 * is read-only; given again, it deletes what is left, and so it must be where a key was made meanwhile (SHUNT_ORDER_INVALID).
 */
export async function eraseTenant(
  deps: WriteOrderDeps,
  { dir, tenantId, actor, reason }: { dir: string; tenantId: string; actor: string; reason: string },
  options: { namespace: string },
): Promise<Erasure> {
  const files = await listKeyFiles(dir, tenantId)
  const keyIds = files.map(({ keyId }) => keyId)
  const name = eraseOrderName(tenantId)
  const order = await writeOrder(deps, { name, actor, reason, value: JSON.stringify({ keys: keyIds }) }, options)
  for (const file of files) await deleteKeyFile(file)
  const made = (await listKeyFiles(dir, tenantId)).map(({ keyId }) => keyId)
  if (made.length > 0)
    throw new ShuntError(
      'SHUNT_ORDER_INVALID',
      `${keyIds.length} keys of tenant ${tenantId} were deleted, and ${made.join(', ')} came meanwhile: give the order again`,
    )
  return { order, keyIds }
}
