import type { InboundRecord } from '#lib/stream/types'
import type { Codec } from './codec.ts'
import { isTenantId } from './ids.ts'
import { peekJsonString } from './json-peek.ts'
import { isJson } from './parse-step.ts'
import { maxStepBytes } from './topics.ts'

/**
 * The tenant that a published step claims, read from its value without decoding the rest; null where that cannot be told.
 * Good for taking turns and for nothing else: no part of the value was checked.
 */
export function peekTenant(
  record: Pick<InboundRecord, 'value' | 'headers'>,
  codec: Pick<Codec, 'peekString'>,
): string | null {
  if (record.value === null || record.value.length > maxStepBytes) return null
  const tenantId = isJson(record)
    ? peekJsonString(record.value, 'tenantId')
    : codec.peekString('step', 'tenantId', record.value)
  return isTenantId(tenantId) ? tenantId : null
}
