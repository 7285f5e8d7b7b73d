import type { PolicyTenant } from '#lib/policy/schema'
import type { NamedCaps } from './budgets.ts'

/** A task's cap is the least of what the step and its tenant name; the day's is the tenant's. */
export function namedCaps(
  step: { taskBudgetMicroUsd: number | null },
  tenant: Pick<PolicyTenant, 'taskBudgetMicroUsd' | 'dayBudgetMicroUsd'>,
): NamedCaps {
  const caps = [step.taskBudgetMicroUsd, tenant.taskBudgetMicroUsd].filter((cap) => cap !== null)
  return { taskMicroUsd: caps.length === 0 ? null : Math.min(...caps), dayMicroUsd: tenant.dayBudgetMicroUsd }
}
