import type { DecisionRecord, StepFacts } from '#lib/events/types.generated'
import type { Policy } from '#lib/policy/schema'
import { scorerOf, trainedHashOf } from '#lib/policy/scorer-choice'
import type { NewScore } from './recorded-step.ts'
import type { ScoreUsed } from './redecision.ts'

/** Whether a policy asks the scorer whose answer the record holds: then nothing is scored anew. */
export type AsksSameScorer = (record: Pick<DecisionRecord, 'policyHash' | 'scorerHash' | 'facts'>) => boolean

/** `recordedPolicy` by its hash tells which HTTP scorer answered; one that is not known any more counts as the same. */
export function asksSameScorer(
  policy: Pick<Policy, 'scorer'>,
  recordedPolicy: (hash: Buffer) => Pick<Policy, 'scorer'> | undefined,
): AsksSameScorer {
  const scorer = scorerOf(policy)
  const hash = trainedHashOf(policy)
  const bytes = hash === null ? null : Buffer.from(hash, 'hex')
  const isOurs = (scorerHash: Buffer | null): boolean =>
    bytes === null || scorerHash === null ? bytes === scorerHash : bytes.equals(scorerHash)
  if (scorer.use !== 'http') return ({ scorerHash, facts }) => facts.scoredBy !== 'http' && isOurs(scorerHash)
  return ({ policyHash, scorerHash, facts }) => {
    const recorded = recordedPolicy(policyHash)
    const asked = recorded && scorerOf(recorded)
    const isSamePlace = !asked || (asked.use === 'http' && asked.url === scorer.url && asked.urlEnv === scorer.urlEnv)
    if (!isSamePlace) return false
    // What stood in for it then would stand in for it again.
    return facts.scoredBy === 'http' || (facts.scorerFallback !== null && isOurs(scorerHash))
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
