import type { Policy, PolicyScorer } from './schema.ts'

/** The scorer of a policy that names none: what decided before scorers could be named. */
const unnamed: PolicyScorer = { use: 'hand_weighted' }

export function scorerOf({ scorer }: Pick<Policy, 'scorer'>): PolicyScorer {
  return scorer ?? unnamed
}

/** The one among a policy's scorers that is trained and runs here: its own, or what stands in for an HTTP scorer. */
export function trainedHashOf(policy: Pick<Policy, 'scorer'>): string | null {
  const scorer = scorerOf(policy)
  const local = scorer.use === 'http' ? scorer.fallback : scorer
  return local.use === 'trained' ? (local.hash ?? null) : null
}

/**
 * The data of a policy file with the hash written in wherever `use: trained` names none. Before the policy's own hash is
 * taken: so that names exactly one scorer, and another release, which ships another one, makes it another policy.
 */
export function withScorerHash(data: unknown, hash: string | null): unknown {
  if (hash === null || !isRecord(data) || !isRecord(data['scorer'])) return data
  const scorer = named(data['scorer'], hash)
  const { fallback } = scorer
  return { ...data, scorer: isRecord(fallback) ? { ...scorer, fallback: named(fallback, hash) } : scorer }
}

function named(scorer: Record<string, unknown>, hash: string): Record<string, unknown> {
  return scorer['use'] === 'trained' && !('hash' in scorer) ? { ...scorer, hash } : scorer
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
