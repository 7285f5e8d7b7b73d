import type { DecisionOutcome, LedgerSnapshot, StepFacts } from '#lib/events/types.generated'
import type { CompiledPolicy } from '#lib/policy/compile-policy'
import { judge as judge1 } from './engines/engine-1.ts'
import { judge as judge2 } from './engines/engine-2.ts'
import { judge as judge3 } from './engines/engine-3.ts'
import { routeStep, type Judge } from './route-step.ts'

/** Pure: equal arguments give an equal outcome, byte for byte. Total: it throws for no facts. */
export type Engine = (facts: StepFacts, snapshot: LedgerSnapshot, policy: CompiledPolicy) => DecisionOutcome

const engineOf =
  (judge: Judge): Engine =>
  (facts, snapshot, policy) =>
    routeStep(judge, facts, snapshot, policy)

/**
 * Every version that ever decided, since the audit makes its decisions again: test/golden/decisions holds each one to
 * its bytes. A change after which equal arguments could give another outcome is a version of its own.
 */
export const engines: ReadonlyMap<number, Engine> = new Map([
  [1, engineOf(judge1)],
  [2, engineOf(judge2)],
  [3, engineOf(judge3)],
])

/** The version that decides now. */
export const engineVersion = 3

/** Where a step goes, by the newest engine. */
export const decide: Engine = engines.get(engineVersion)!
