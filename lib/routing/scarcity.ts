import type { LedgerSnapshot } from '#lib/events/types.generated'
import type { Policy } from '#lib/policy/schema'
import type { Candidate } from './candidates.ts'

const FULL_PPM = 1_000_000

/** What holds where the policy does not say. */
const defaults = { expectedSteps: 20, expectedFrontierSharePpm: 300_000, scarcityPpm: 300_000 }

/**
 * By how much the threshold moves away from the frontier, ppm: nothing while the task's money bears what its remaining
 * steps are likely to need, and up to the policy's full shift in proportion to what is missing. The steps that remain are
 * those that the policy expects of a task less those that were decided, this one at least; a part of them is likely to
 * escalate, each at the bound that this step would have.
 */
export function scarcityPpm(
  { taskLeftMicroUsd, taskSteps }: Pick<LedgerSnapshot, 'taskLeftMicroUsd' | 'taskSteps'>,
  candidates: readonly Candidate[],
  { budget, threshold }: Pick<Policy, 'budget' | 'threshold'>,
): number {
  const boundMicroUsd = candidates.find(({ model }) => model.tier === 'frontier')?.boundMicroUsd ?? 0
  if (taskLeftMicroUsd === null || taskSteps === null || boundMicroUsd === 0) return 0
  const remaining = Math.max(1, (budget.expectedSteps ?? defaults.expectedSteps) - taskSteps)
  const sharePpm = budget.expectedFrontierSharePpm ?? defaults.expectedFrontierSharePpm
  const needMicroUsd = Math.max(boundMicroUsd, Math.floor(((remaining * sharePpm) / FULL_PPM) * boundMicroUsd))
  if (taskLeftMicroUsd >= needMicroUsd) return 0
  const fullPpm = threshold.budgetScarcityPpm ?? defaults.scarcityPpm
  return Math.floor((fullPpm * (needMicroUsd - taskLeftMicroUsd)) / needMicroUsd)
}
