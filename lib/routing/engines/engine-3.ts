import { basesFor, judgeOnBases } from '../bases.ts'
import { failureShifts } from '../failure-shifts.ts'
import type { Judge } from '../route-step.ts'
import { scarcityPpm } from '../scarcity.ts'
import { shiftsFor } from '../threshold.ts'

/**
 * As engine 2, and the threshold also moves with what the ledger knows: towards the frontier with failures of late of the
 * task, its tools, kind and models, and away from it as the task's money runs short.
 */
export const judge: Judge = (facts, policy, { snapshot, candidates }) => {
  const shifts = [...shiftsFor(facts, policy), ...failureShifts(snapshot, policy)]
  const bases = basesFor(facts, policy.threshold)
  return judgeOnBases(facts, bases, { shifts, scarcityPpm: scarcityPpm(snapshot, candidates, policy) })
}
