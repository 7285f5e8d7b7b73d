import { z } from 'zod'
import type { ControlOrder } from '#lib/events/types.generated'

/** Name of the order in agent.control that puts a policy in force. */
export const policyOrderName = 'policy'

const orderValue = z.object({ hash: z.string().regex(/^[0-9a-f]{64}$/) })

export function policyOrderValue(hash: string): string {
  return JSON.stringify({ hash })
}

/** The hash of the policy that is put in force; null for another order, and for one whose value names none. */
export function readPolicyOrder({ name, value }: Pick<ControlOrder, 'name' | 'value'>): string | null {
  if (name !== policyOrderName) return null
  try {
    const parsed = orderValue.safeParse(JSON.parse(value))
    return parsed.success ? parsed.data.hash : null
  } catch {
    return null
  }
}
