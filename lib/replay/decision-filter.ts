import type { DecisionRecord, Tier } from '#lib/events/types.generated'

/** Which decisions are asked for. Of each list one must fit; a list that is left out lets all pass. */
export interface DecisionFilter {
  taskIds?: readonly string[] | undefined
  tenantIds?: readonly string[] | undefined
  /** That the outcome named; `none` for one that named none. */
  tiers?: readonly (Tier | 'none')[] | undefined
  /** At least one of these is among the outcome's reasons. */
  reasons?: readonly string[] | undefined
}

/** Pure. Undefined where everything passes, so that who reads by the million need not ask. */
export function decisionFilter({
  taskIds,
  tenantIds,
  tiers,
  reasons,
}: DecisionFilter): ((record: DecisionRecord) => boolean) | undefined {
  if (!taskIds && !tenantIds && !tiers && !reasons) return undefined
  const isAmong = <T>(wanted: readonly T[] | undefined, value: T): boolean => !wanted || wanted.includes(value)
  return ({ taskId, facts, outcome }) =>
    isAmong(taskIds, taskId) &&
    isAmong(tenantIds, facts.tenantId) &&
    isAmong(tiers, outcome.tier ?? 'none') &&
    (!reasons || outcome.reasons.some((reason) => reasons.includes(reason)))
}
