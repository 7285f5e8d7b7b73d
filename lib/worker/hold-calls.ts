import { formatOrigin } from '#lib/audit/records'
import { tenantOf } from '#lib/events/tenant'
import type { RoutedStep } from '#lib/events/types.generated'
import type { Budgets, LedgerStep } from '#lib/ledger/budgets'
import type { KnownPolicy } from '#lib/policy/policy-store'

/** What the ledger holds for an attempt: the bound of one call, since its decision. */
export interface HeldAttempt extends LedgerStep {
  boundMicroUsd: number
  /** 0 where nothing is held. */
  reservedAtMs: number
}

/**
 * Holds the bound of so many calls for an attempt, in place of what it holds: one that may have been billed stays charged
 * when another is made. False where the budget does not bear it, and where the attempt is over.
 * Throws as Budgets does.
 */
export type HoldCalls = (attempt: HeldAttempt, calls: number) => Promise<boolean>

export function createHoldCalls(deps: {
  budgets: Pick<Budgets, 'reserve'>
  policies: { inForce(): KnownPolicy | undefined }
}): HoldCalls {
  return async (attempt, calls) => {
    if (attempt.reservedAtMs === 0 || attempt.boundMicroUsd === 0) return true
    const policy = deps.policies.inForce()?.policy
    const dayMicroUsd = (policy && tenantOf(policy, attempt.tenantId)?.dayBudgetMicroUsd) ?? null
    // The ledger knows the task's cap since the decision.
    const caps = { taskMicroUsd: null, dayMicroUsd }
    const answer = await deps.budgets.reserve(attempt, calls * attempt.boundMicroUsd, caps, attempt.reservedAtMs)
    return answer.state === 'held'
  }
}

export function heldAttemptOf({ step, origin, decision }: RoutedStep): HeldAttempt {
  return {
    tenantId: step.tenantId,
    taskId: step.taskId,
    origin: formatOrigin(origin),
    attempt: decision.attempt,
    boundMicroUsd: decision.boundMicroUsd,
    reservedAtMs: decision.reservedAtMs,
  }
}
