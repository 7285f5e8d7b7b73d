import { isUnverifiable, type Verdict } from '#lib/models/verdicts'
import type { Policy } from '#lib/policy/schema'
import { leastConfidencePpm } from '#lib/verification/confidence'
import { readLabelSet } from '#lib/verification/labels'
import type { VerifiedAnswer, Verifier } from '#lib/verification/verifier'
import type { CallEnd, ModelJob } from './call-end.ts'

/** What an attempt ended in, as its record will say it. */
export type Judgement = VerifiedAnswer

/**
 * Holds the answer of an attempt, where there is one, against the step and the policy. Confidence and a refusal in words
 * count against an open model alone: there is nobody to ask after the frontier, and few of its APIs tell
 * log-probabilities.
 */
export async function judge(
  verifier: Verifier,
  { routed, request, policy }: ModelJob,
  end: CallEnd,
): Promise<Judgement> {
  if (end.kind === 'expired')
    return { verdict: 'backend_timeout', detail: "no answer by the step's deadline", confidencePpm: null }
  if (end.kind === 'cancelled') return { verdict: 'cancelled', detail: null, confidencePpm: null }
  if (end.kind === 'failed') return { verdict: end.verdict, detail: end.detail, confidencePpm: null }
  const { step, decision } = routed
  const isOpen = decision.tier === 'oss'
  return verifier.verify(request, end.answer.completion, {
    structureOnly: end.answer.standIn,
    labels: readLabelSet(step.metadata) ?? null,
    refusalIsFailure: isOpen,
    minConfidencePpm: isOpen ? leastConfidencePpm(policy.verification, step.kind) : 0,
  })
}

/** Whether an answer with this verdict is the step's result. */
export function isAccepted(verdict: Verdict, { verification }: Pick<Policy, 'verification'>): boolean {
  return verdict === 'ok' || (isUnverifiable(verdict) && verification.whenUnverifiable === 'accept')
}
