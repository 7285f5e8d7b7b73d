import type { DecisionOutcome } from '#lib/events/types.generated'
import type { Side } from './redecision.ts'

/**
 * What made a step go elsewhere. Values are as the records hold them; what is in ppm is null where a side has none such.
 */
export type Difference =
  | { kind: 'code'; before: string | null; after: string | null }
  | { kind: 'rule'; before: string | null; after: string | null }
  /** The model that had the step may not or cannot take it any more. */
  | { kind: 'removed'; model: string; reason: string }
  /** The model that gets the step could not take it before. */
  | { kind: 'permitted'; model: string; reason: string }
  | { kind: 'score'; name: 'pSuccess' | 'gain'; beforePpm: number | null; afterPpm: number | null }
  | { kind: 'scale'; before: string; after: string }
  | { kind: 'term'; name: string; beforePpm: number | null; afterPpm: number | null }
  /** Neither constraint, rule, score nor threshold: the order of models in the policy, or the models themselves. */
  | { kind: 'models' }

/** The first that explains the move comes first; terms by how much they differ. Never empty. */
export function differencesOf(before: Side, after: Side): Difference[] {
  const [was, is] = [before.outcome, after.outcome]
  const found: Difference[] = []
  if (is.action !== 'route' && is.code !== was.code && is.code !== 'SHUNT_NO_MODEL_PERMITTED')
    found.push({ kind: 'code', before: was.code, after: is.code })
  const removed = reasonOf(is, was.model)
  if (was.model !== null && removed !== undefined) found.push({ kind: 'removed', model: was.model, reason: removed })
  const permitted = reasonOf(was, is.model)
  if (is.model !== null && permitted !== undefined)
    found.push({ kind: 'permitted', model: is.model, reason: permitted })
  if (was.rule !== is.rule) found.push({ kind: 'rule', before: was.rule, after: is.rule })
  if (is.rule === null) found.push(...thresholdDifferences(before, after))
  if (found.length === 0 && was.code !== is.code) found.push({ kind: 'code', before: was.code, after: is.code })
  return found.length > 0 ? found : [{ kind: 'models' }]
}

function thresholdDifferences(before: Side, after: Side): Difference[] {
  const [was, is] = [before.outcome, after.outcome]
  if (was.action !== 'route' && was.terms.length === 0) return []
  if (was.thresholdOn !== is.thresholdOn) return [{ kind: 'scale', before: was.thresholdOn, after: is.thresholdOn }]
  const found: Difference[] = []
  if (is.thresholdOn === 'gain' && before.gainPpm !== after.gainPpm)
    found.push({ kind: 'score', name: 'gain', beforePpm: before.gainPpm, afterPpm: after.gainPpm })
  if (is.thresholdOn === 'p_success' && before.pSuccessPpm !== after.pSuccessPpm)
    found.push({ kind: 'score', name: 'pSuccess', beforePpm: before.pSuccessPpm, afterPpm: after.pSuccessPpm })
  const names = new Set([...was.terms, ...is.terms].map(({ name }) => name))
  const terms = [...names].map((name) => ({ name, beforePpm: termOf(was, name), afterPpm: termOf(is, name) }))
  const differing = terms
    .filter((term) => term.beforePpm !== term.afterPpm)
    .toSorted((a, b) => sizeOf(b) - sizeOf(a))
    .map((term): Difference => ({ kind: 'term', ...term }))
  return [...found, ...differing]
}

/** For counting: what it is, without its values. */
export function nameOfDifference(difference: Difference): string {
  switch (difference.kind) {
    case 'removed':
      return `model removed: ${difference.reason}`
    case 'permitted':
      return `model no longer removed: ${difference.reason}`
    case 'term':
      return `threshold term: ${difference.name}`
    case 'score':
      return `score: ${difference.name}`
    case 'scale':
      return `threshold on ${difference.after}`
    case 'rule':
      return difference.after === null ? 'no rule any more' : `rule: ${difference.after}`
    case 'code':
      return difference.after === null ? `no longer ${difference.before}` : difference.after
    case 'models':
      return 'models and their order'
  }
}

function reasonOf({ removed }: DecisionOutcome, model: string | null): string | undefined {
  return removed.find((entry) => entry.model === model)?.reason
}

function termOf({ terms }: DecisionOutcome, name: string): number | null {
  return terms.find((term) => term.name === name)?.ppm ?? null
}

function sizeOf({ beforePpm, afterPpm }: { beforePpm: number | null; afterPpm: number | null }): number {
  return Math.abs((afterPpm ?? 0) - (beforePpm ?? 0))
}
