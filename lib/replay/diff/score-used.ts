import type { DecisionRecord, StepFacts } from '#lib/events/types.generated'
import type { Policy } from '#lib/policy/schema'
import { scorerOf, trainedHashOf } from '#lib/policy/scorer-choice'
import type { NewScore } from './recorded-step.ts'
import type { ScoreUsed } from './redecision.ts'

/** Whether a policy asks the scorer whose answer the record holds: then nothing is scored anew. */
export type AsksSameScorer = (record: Pick<DecisionRecord, 'scorerHash' | 'facts'>) => boolean

export function asksSameScorer(policy: Pick<Policy, 'scorer'>): AsksSameScorer {
  if (scorerOf(policy).use === 'http')
    // What stood in for it then would stand in for it again.
    return ({ facts }) => facts.scoredBy === 'http' || facts.scorerFallback !== null
  const hash = trainedHashOf(policy)
  const bytes = hash === null ? null : Buffer.from(hash, 'hex')
  return ({ scorerHash, facts }) => {
    if (facts.scoredBy === 'http') return false
    return bytes === null || scorerHash === null ? bytes === scorerHash : bytes.equals(scorerHash)
  }
}

/** The facts with the score that the new policy decides on. */
export function withScore(
  record: DecisionRecord,
  score: NewScore | null,
  same: AsksSameScorer,
): { facts: StepFacts; score: ScoreUsed } {
  if (same(record)) return { facts: record.facts, score: 'same' }
  if (score === null) return { facts: record.facts, score: 'kept' }
  return { facts: { ...record.facts, ...score, scorerFallback: null }, score: 'anew' }
}
