import type { ChatRequest } from '#lib/events/chat-request'
import type { StepFeatures } from './features.ts'
import type { Score, Scorer } from './score.ts'

/** Whose answer a score is. Names are stable, since they are in the audit. */
export type ScoredBy = 'hand_weighted' | 'trained' | 'http'

/** Why another scorer answered than the HTTP scorer that the policy names. Stable names, in the audit. */
export const scorerFallbacks = {
  residency: 'The scorer is in a region where the step may not go.',
  compliance: 'The scorer does not carry every tag that the step requires.',
  tenant_unknown: 'The policy does not know the tenant.',
  not_configured: 'The environment variable that the policy names for its address or key is not set.',
  overloaded: 'As many steps as the policy allows were waiting for it.',
  breaker_open: 'It failed too often of late and is left alone for a while.',
  timeout: "It did not answer within the policy's time.",
  unreachable: 'It could not be reached, or broke the connection.',
  refused: 'It answered with an HTTP status other than 200.',
  answer_invalid: 'Its answer is not of the documented form, or out of range.',
} as const
export type ScorerFallback = keyof typeof scorerFallbacks

/** A score, with all that the audit keeps of where it is from. */
export interface Scoring {
  score: Score
  scoredBy: ScoredBy
  /** Of the scorer that answered; null where nothing but its answer can be kept. */
  scorerHash: string | null
  fallback: ScorerFallback | null
}

/** The score of a scorer that runs here. */
export function scoreWith(
  scorer: Scorer,
  features: StepFeatures,
  request: ChatRequest,
  fallback: ScorerFallback | null = null,
): Scoring {
  const scoredBy = scorer.hash === null || scorer.knows?.(features) === false ? 'hand_weighted' : 'trained'
  return { score: scorer.score(features, request), scoredBy, scorerHash: scorer.hash, fallback }
}
