import type { Judge } from '../route-step.ts'
import { judgeByChance } from '../scales.ts'
import { shiftsFor } from '../threshold.ts'

/** One threshold for every step, held against P(the open model is right). */
export const judge: Judge = (facts, policy) =>
  judgeByChance(facts, policy.threshold.pSuccessPpm, { shifts: shiftsFor(facts, policy), scarcityPpm: 0 })
