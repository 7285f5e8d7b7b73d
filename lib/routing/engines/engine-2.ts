import type { Judge } from '../route-step.ts'
import { basesFor, judgeOnBases } from '../bases.ts'
import { shiftsFor } from '../threshold.ts'

/**
 * What escalation gains is held against what the policy asks, where the one is known and the other is set; all else is
 * judged by P(the open model is right), as by engine 1. The bases may be set by kind and by tenant.
 */
export const judge: Judge = (facts, policy) =>
  judgeOnBases(facts, basesFor(facts, policy.threshold), { shifts: shiftsFor(facts, policy), scarcityPpm: 0 })
