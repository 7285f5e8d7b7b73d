import type { StepFacts } from '#lib/events/types.generated'
import type { Policy, ThresholdBase } from '#lib/policy/schema'
import type { Judge } from '../route-step.ts'
import { judgeByChance, judgeByGain } from '../scales.ts'

/**
 * What escalation gains is held against what the policy asks, where the one is known and the other is set; all else is
 * judged by P(the open model is right), as by engine 1. The bases may be set by kind and by tenant.
 */
export const judge: Judge = (facts, policy) => {
  const bases = basesFor(facts, policy.threshold)
  const asked = bases.find(({ gainPpm }) => gainPpm !== undefined)?.gainPpm
  if (facts.gainPpm !== null && asked !== undefined) return judgeByGain(facts, facts.gainPpm, asked, policy)
  const chance = bases.find(({ pSuccessPpm }) => pSuccessPpm !== undefined)?.pSuccessPpm
  return judgeByChance(facts, chance ?? policy.threshold.pSuccessPpm, policy)
}

/** Narrowest first: of the tenant's steps of the kind, of the tenant, of the kind, of the policy. */
function basesFor(facts: StepFacts, threshold: Policy['threshold']): ThresholdBase[] {
  const ofTenant = own(threshold.perTenant, facts.tenantId)
  const found = [own(ofTenant?.perKind, facts.kind), ofTenant, own(threshold.perKind, facts.kind), threshold]
  return found.filter((base) => base !== undefined)
}

/** No tenant is called by the name of what every object inherits. */
function own<T>(table: Readonly<Record<string, T>> | undefined, name: string): T | undefined {
  return table && Object.hasOwn(table, name) ? table[name] : undefined
}
