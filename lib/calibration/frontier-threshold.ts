import { ShuntError } from '#lib/errors'
import type { ChatRequest } from '#lib/events/chat-request'
import { costMicroUsd } from '#lib/models/prices'
import type { PolicyModel } from '#lib/policy/schema'
import { rankByScore } from './routing-curve.ts'

/**
 * Thresholds on the gain that are set by what they cost. A step escalates when its gain is at or above the threshold;
 * gains and thresholds are whole ppm, as the decision compares them.
 */
export interface CostThreshold {
  gainPpm: number
  /** Of the steps that it was set on. */
  frontierShare: number
}

/** Every step escalates; none does. */
export const gainOfAll = -1_000_000
export const gainOfNone = 1_000_000

export function toGainPpm(gain: number): number {
  return Math.round(gain * 1_000_000)
}

/**
 * The lowest threshold with at most `share` of the steps at or above it. It is the gain of the last step that escalates
 * (the upper quantile as it stands, nothing between two steps). Steps of equal gain escalate together or not at all, so
 * the share may be missed from below, never from above: it stands for money.
 */
export function thresholdForShare(gains: readonly number[], share: number): CostThreshold {
  let sent = 0
  return lowestThreshold(gains, (tied) => (sent += tied.length) <= share * gains.length + epsilon)
}

/** Products such as 0.3 × 10 come out below or above the whole number. */
const epsilon = 1e-9

/** Steps from the highest gain down, tie by tie, as long as `fits` takes them. */
function lowestThreshold(gains: readonly number[], fits: (tied: Uint32Array) => boolean): CostThreshold {
  const gainsPpm = gains.map(toGainPpm)
  const { order, ends } = rankByScore(gainsPpm)
  let sent = 0
  for (const end of ends) {
    if (!fits(order.subarray(sent, end))) break
    sent = end
  }
  if (sent === 0) return { gainPpm: gainOfNone, frontierShare: 0 }
  // Where all fit, so do steps below the lowest one seen.
  if (sent === order.length) return { gainPpm: gainOfAll, frontierShare: 1 }
  return { gainPpm: gainsPpm[order[sent - 1]!]!, frontierShare: sent / order.length }
}

/** What one step costs with either model. */
export interface StepCost {
  ossMicroUsd: number
  frontierMicroUsd: number
}

export interface PricePair {
  oss: PolicyModel['price']
  frontier: PolicyModel['price']
}

/**
 * Cost of a step by the estimate of its prompt (an upper one, see token-estimate.ts) and the tokens that an answer
 * has on average, or as many as the request allows where that is less.
 */
export function estimateCost(
  promptTokens: number,
  request: Pick<ChatRequest, 'max_tokens' | 'max_completion_tokens'>,
  meanAnswerTokens: number,
  { oss, frontier }: PricePair,
): StepCost {
  const answerTokens = Math.min(meanAnswerTokens, request.max_completion_tokens ?? request.max_tokens ?? Infinity)
  return {
    ossMicroUsd: costMicroUsd(oss, promptTokens, answerTokens),
    frontierMicroUsd: costMicroUsd(frontier, promptTokens, answerTokens),
  }
}

/**
 * The lowest threshold under which a thousand steps like these cost `usdPerThousandSteps` at most; `costs` are in the
 * order of `gains`. A cheap step that comes after one which breaks the budget is not let past it: a threshold cannot.
 * Throws SHUNT_CONFIG_INVALID where the open model alone costs more.
 */
export function thresholdForBudget(
  gains: readonly number[],
  usdPerThousandSteps: number,
  costs: readonly StepCost[],
): CostThreshold & { usdPerThousandSteps: number } {
  const usdPerThousand = (microUsd: number): number => microUsd / 1_000 / Math.max(1, gains.length)
  let spent = 0
  for (const { ossMicroUsd } of costs) spent += ossMicroUsd
  if (usdPerThousand(spent) > usdPerThousandSteps)
    throw new ShuntError(
      'SHUNT_CONFIG_INVALID',
      `a thousand steps cost $${usdPerThousand(spent).toFixed(2)} with the open model alone, above the budget of $${usdPerThousandSteps}`,
    )
  const threshold = lowestThreshold(gains, (tied) => {
    let next = spent
    for (const i of tied) next += costs[i]!.frontierMicroUsd - costs[i]!.ossMicroUsd
    if (usdPerThousand(next) > usdPerThousandSteps + epsilon) return false
    spent = next
    return true
  })
  return { ...threshold, usdPerThousandSteps: usdPerThousand(spent) }
}
