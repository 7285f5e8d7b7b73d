import { ModelCallError } from './model-call-error.ts'

/** The most that a call may use, as it was reserved. */
export interface UsageBound {
  promptTokens: number
  maxOutputTokens: number
}

/** Why what a provider says was used cannot be. */
export type UsageProblem =
  /** Missing, negative, a fraction, or no number. */
  | 'not_a_count'
  /** More was written than the request allowed. */
  | 'completion_above_limit'
  /** A hundred times the bound, and more, was read. */
  | 'prompt_absurd'

/** Providers count some marks of their own, and an answer's last token may pass the limit. */
const completionSlack = { factor: 1.1, tokens: 16 }

/** Images are counted up to twenty times as high by some models as by most. */
const absurdFactor = 100

/** Null for a usage that can be settled. One somewhat above the bound can: it is billed, however wrong the bound was. */
export function usageProblem(
  usage: { promptTokens: unknown; completionTokens: unknown },
  bound: UsageBound,
): UsageProblem | null {
  const { promptTokens, completionTokens } = usage
  if (!isCount(promptTokens) || !isCount(completionTokens)) return 'not_a_count'
  if (completionTokens > bound.maxOutputTokens * completionSlack.factor + completionSlack.tokens)
    return 'completion_above_limit'
  if (promptTokens > Math.max(1, bound.promptTokens) * absurdFactor) return 'prompt_absurd'
  return null
}

/** Tokens to charge for. */
export interface ChargedUsage {
  promptTokens: number
  completionTokens: number
  /** Present where the counts are the bound, since the provider's cannot be. */
  usageProblem?: UsageProblem
}

/**
 * What an answer is charged for: the provider's counts, or the bound where they cannot be. Why is the answer kept? It
 * was made, and will be billed; another call would be billed as well, and count no better.
 * Without a bound for the prompt, counts that are none are ModelCallError `malformed`.
 */
export function chargedUsage(
  usage: { promptTokens: unknown; completionTokens: unknown },
  bound: { promptTokens: number | undefined; maxOutputTokens: number },
): ChargedUsage {
  const { promptTokens, completionTokens } = usage
  if (bound.promptTokens === undefined) {
    if (isCount(promptTokens) && isCount(completionTokens)) return { promptTokens, completionTokens }
    throw new ModelCallError('malformed', 'the usage does not count tokens')
  }
  const problem = usageProblem(usage, { ...bound, promptTokens: bound.promptTokens })
  if (problem === null) return { promptTokens: promptTokens as number, completionTokens: completionTokens as number }
  return { promptTokens: bound.promptTokens, completionTokens: bound.maxOutputTokens, usageProblem: problem }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
