import type { StepFacts } from '#lib/events/types.generated'
import type { Policy, ThresholdBase } from '#lib/policy/schema'
import type { Judgement } from './route-step.ts'
import { judgeByChance, judgeByGain, type Moves } from './scales.ts'

/** What thresholds may start from: the narrowest that is set holds, of each scale by itself. */
export interface Bases {
  /** Narrowest first. */
  found: readonly ThresholdBase[]
  /** Of the policy, which always has one. */
  pSuccessPpm: number
}

/** Of the tenant's steps of the kind, of the tenant, of the kind, of the policy. */
export function basesFor(facts: Pick<StepFacts, 'tenantId' | 'kind'>, threshold: Policy['threshold']): Bases {
  const ofTenant = own(threshold.perTenant, facts.tenantId)
  const found = [own(ofTenant?.perKind, facts.kind), ofTenant, own(threshold.perKind, facts.kind), threshold]
  return { found: found.filter((base) => base !== undefined), pSuccessPpm: threshold.pSuccessPpm }
}

/** By gain where the step's is known and a base asks for one, else by chance. */
export function judgeOnBases(facts: StepFacts, { found, pSuccessPpm }: Bases, moves: Moves): Judgement {
  const asked = found.find(({ gainPpm }) => gainPpm !== undefined)?.gainPpm
  if (facts.gainPpm !== null && asked !== undefined) return judgeByGain(facts.gainPpm, asked, moves)
  const chance = found.find((base) => base.pSuccessPpm !== undefined)?.pSuccessPpm
  return judgeByChance(facts, chance ?? pSuccessPpm, moves)
}

/** No tenant is called by the name of what every object inherits. */
function own<T>(table: Readonly<Record<string, T>> | undefined, name: string): T | undefined {
  return table && Object.hasOwn(table, name) ? table[name] : undefined
}
