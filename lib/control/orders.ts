import { z } from 'zod'
import { ShuntError } from '#lib/errors'
import { isId, isTenantId } from '#lib/events/ids'
import type { ControlOrder } from '#lib/events/types.generated'

/** What a pause holds back: every call of the frontier, of one model, or whatever belongs to one tenant. */
export type PauseScope = { of: 'frontier' } | { of: 'tenant'; id: string } | { of: 'model'; id: string }

/** Whose steps a cancel ends: those of one task or batch of a tenant, or all of the tenant's. */
export type CancelScope =
  | { of: 'tenant'; tenantId: string }
  | { of: 'task'; tenantId: string; id: string }
  | { of: 'batch'; tenantId: string; id: string }

/** Name of the order in agent.control, and its key there: the last order of a name is in force. */
export function pauseName(scope: PauseScope): string {
  return scope.of === 'frontier' ? 'pause/frontier' : `pause/${scope.of}/${scope.id}`
}

/** As pauseName. A tenant's id holds no '/'; what follows it may. */
export function cancelName(scope: CancelScope): string {
  return scope.of === 'tenant' ? `cancel/tenant/${scope.tenantId}` : `cancel/${scope.of}/${scope.tenantId}/${scope.id}`
}

/** An order that acts on running services, as agent.control has it last under its name. */
export interface OperatorOrder extends Omit<ControlOrder, 'value'> {
  kind: 'pause' | 'cancel'
  /** False for one that ends what an earlier order of its name began. */
  stands: boolean
}

/** What is written as the order's value. A resume is an order like the pause, so that the audit has both. */
export function orderValue(kind: OperatorOrder['kind'], stands: boolean): string {
  return JSON.stringify(kind === 'pause' ? { paused: stands } : { cancelled: stands })
}

const values = {
  pause: z.object({ paused: z.boolean() }).transform(({ paused }) => paused),
  cancel: z.object({ cancelled: z.boolean() }).transform(({ cancelled }) => cancelled),
}

/** As the policy's ids. */
const modelForm = /^[a-z0-9][a-z0-9._-]{0,62}$/

/**
 * Pure: an order of agent.control, read; null for one of another family, such as the policy in force. Throws
 * SHUNT_ORDER_INVALID for one of ours that cannot be followed.
 */
export function readOrder({ value, ...order }: ControlOrder): OperatorOrder | null {
  const kind = order.name.startsWith('pause/') ? 'pause' : order.name.startsWith('cancel/') ? 'cancel' : null
  if (kind === null) return null
  if (!isName(order.name)) throw invalid(order, 'nothing goes by this name')
  if (!Number.isSafeInteger(order.atMs) || order.atMs <= 0) throw invalid(order, 'it bears no time')
  const parsed = values[kind].safeParse(parseOrNull(value))
  if (!parsed.success) throw invalid(order, `its value is not ${orderValue(kind, true)} or the like`)
  return { ...order, kind, stands: parsed.data }
}

function isName(name: string): boolean {
  if (name === 'pause/frontier') return true
  const [family, of, first = '', ...rest] = name.split('/')
  if (`${family}/${of}` === 'pause/model') return modelForm.test(first) && rest.length === 0
  if (!isTenantId(first)) return false
  if (of === 'tenant') return rest.length === 0
  return family === 'cancel' && (of === 'task' || of === 'batch') && isId(rest.join('/'))
}

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function invalid({ name, orderId }: Pick<ControlOrder, 'name' | 'orderId'>, why: string): ShuntError {
  return new ShuntError('SHUNT_ORDER_INVALID', `order ${orderId} (${name}) is not followed: ${why}`)
}
