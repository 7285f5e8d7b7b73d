import type { LedgerSnapshot } from '#lib/events/types.generated'

/** What is known of budgets, failures and providers where no ledger is asked: nothing. */
export function noLedger(nowMs: number): LedgerSnapshot {
  return {
    nowMs,
    budgetLeftMicroUsd: null,
    failuresPpm: null,
    unavailableModels: [],
    ledgerLagMs: null,
    taskLeftMicroUsd: null,
    taskSteps: null,
  }
}
