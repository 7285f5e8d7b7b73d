import type { StepFacts } from '#lib/events/types.generated'
import type { PolicyRule } from '#lib/policy/schema'

/** The first rule that matches; null where none does. */
export function firstMatch(rules: readonly PolicyRule[], facts: StepFacts): PolicyRule | null {
  for (const rule of rules) if (matches(rule.when, facts)) return rule
  return null
}

function matches(when: PolicyRule['when'], facts: StepFacts): boolean {
  return (
    isAmong(when.kind, facts.kind) &&
    isAmong(when.tenant, facts.tenantId) &&
    isAmong(when.priority, facts.priority) &&
    isAmong(when.requestedModel, facts.requestedModel) &&
    facts.toolAmbiguityPpm >= (when.toolAmbiguityAtLeastPpm ?? 0) &&
    facts.traceTroublePpm >= (when.traceTroubleAtLeastPpm ?? 0) &&
    facts.toolCount >= (when.toolCountAtLeast ?? 0) &&
    (when.priorFailuresAtLeast === undefined || countFailures(facts) >= when.priorFailuresAtLeast)
  )
}

function isAmong(allowed: readonly string[] | undefined, value: string | null): boolean {
  return allowed === undefined || (value !== null && allowed.includes(value))
}

/** Attempts of this step that speak against the model: all but those whose cause passes by itself. */
export function countFailures(facts: Pick<StepFacts, 'priorAttempts'>): number {
  let failures = 0
  for (const attempt of facts.priorAttempts) if (!attempt.transient) failures++
  return failures
}
