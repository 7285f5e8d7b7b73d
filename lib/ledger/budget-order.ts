import { z } from 'zod'
import type { ControlOrder } from '#lib/events/types.generated'

/** A cap that an operator sets: in place of what steps and policy name, until another order. */
export interface BudgetOrder {
  tenantId: string
  /** Null: the cap of each of the tenant's days. */
  taskId: string | null
  /** Null takes the operator's cap back: steps and policy name it again. */
  capMicroUsd: number | null
}

const orderValue = z.object({
  tenantId: z.string().min(1),
  taskId: z.string().min(1).nullable(),
  capMicroUsd: z.number().int().min(0).nullable(),
})

const prefix = 'budget/'

/** Name of the order in agent.control: the last order of a name is in force. */
export function budgetOrderName({ tenantId, taskId }: Pick<BudgetOrder, 'tenantId' | 'taskId'>): string {
  return `${prefix}${encodeURIComponent(tenantId)}/${taskId === null ? 'day' : `task/${encodeURIComponent(taskId)}`}`
}

/** Null for another order, and for one whose value is none: the audit has it all the same. */
export function readBudgetOrder({ name, value }: Pick<ControlOrder, 'name' | 'value'>): BudgetOrder | null {
  if (!name.startsWith(prefix)) return null
  try {
    const parsed = orderValue.safeParse(JSON.parse(value))
    return parsed.success ? parsed.data : null
  } catch {
    return null
  }
}
