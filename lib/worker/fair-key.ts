import type { Codec } from '#lib/events/codec'
import { peekTenant } from '#lib/events/peek-tenant'
import { tenantOf } from '#lib/events/tenant'
import type { Policy } from '#lib/policy/schema'
import type { InboundRecord } from '#lib/stream/types'

/**
 * On records of routed steps, which the services alone may write: whose they are, so that a lane can let tenants take
 * turns without decoding what it holds. Whatever else depends on the tenant reads the step.
 */
const tenantHeader = 'x-shunt-tenant'

export function tenantHeaders(tenantId: string): Record<string, string> {
  return { [tenantHeader]: tenantId }
}

/** Of a routed step. Records of releases that did not write the header have one turn among them. */
export function tenantOfHeader({ headers }: Pick<InboundRecord, 'headers'>): string {
  return headers[tenantHeader]?.toString() ?? ''
}

/**
 * Of a record that anyone may have published: read from its value, since a header could name another tenant on each
 * record. All that name none of the policy's tenants have one turn among them: they are refused anyway.
 */
export function publishedTenant(
  record: Pick<InboundRecord, 'value' | 'headers'>,
  codec: Pick<Codec, 'peekString'>,
  policy: Pick<Policy, 'tenants'> | undefined,
): string {
  const tenantId = peekTenant(record, codec)
  return tenantId !== null && policy && tenantOf(policy, tenantId) ? tenantId : ''
}
