import type { Tier } from '#lib/events/types.generated'
import { cancelName, pauseName, type OperatorOrder } from './orders.ts'

/** A step as orders see it. */
export interface OrderedStep {
  tenantId: string
  taskId: string
  batchId: string | null
  /** Timestamp of the step's own record; not above 0 where its producer set none. */
  publishedAtMs: number
  /** Where it is about to be called; null where that is not decided. */
  call: { tier: Tier; model: string } | null
}

/** What the orders in force make of a step. */
export type Standing = { is: 'free' } | { is: 'paused'; by: OperatorOrder } | { is: 'cancelled'; by: OperatorOrder }

const free: Standing = { is: 'free' }

/**
 * Pure. A cancel goes before a pause: the step ends although it could not be called. It concerns the steps that were
 * published up to its own time, so that the task, batch or tenant may go on later; a step whose record bears no time
 * counts as published before.
 */
export function standingOf(orders: ReadonlyMap<string, OperatorOrder>, step: OrderedStep): Standing {
  // Nearly always: no order stands, and a step costs no string.
  if (orders.size === 0) return free
  for (const name of cancelNames(step)) {
    const by = orders.get(name)
    if (by && step.publishedAtMs <= by.atMs) return { is: 'cancelled', by }
  }
  for (const name of pauseNames(step)) {
    const by = orders.get(name)
    if (by) return { is: 'paused', by }
  }
  return free
}

function cancelNames({ tenantId, taskId, batchId }: OrderedStep): string[] {
  const names = [cancelName({ of: 'tenant', tenantId }), cancelName({ of: 'task', tenantId, id: taskId })]
  if (batchId !== null) names.push(cancelName({ of: 'batch', tenantId, id: batchId }))
  return names
}

function pauseNames({ tenantId, call }: OrderedStep): string[] {
  const names = [pauseName({ of: 'tenant', id: tenantId })]
  if (call?.tier === 'frontier') names.push(pauseName({ of: 'frontier' }))
  if (call) names.push(pauseName({ of: 'model', id: call.model }))
  return names
}
