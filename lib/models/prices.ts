import type { PolicyModel } from '#lib/policy/schema'

const TOKENS_PER_PRICE = 1_000_000n

/**
 * Cost of a call in whole micro-USD, rounded up once over both sums, so that what is charged is never less than the
 * bill. BigInt: a long context at a high price would leave the range in which a product of numbers is exact.
 * Throws RangeError when a count is no whole number from 0: a bill is not guessed.
 */
export function costMicroUsd(price: PolicyModel['price'], promptTokens: number, completionTokens: number): number {
  const input = wholeTokens(promptTokens) * BigInt(price.inputMicroUsdPerMTok)
  const output = wholeTokens(completionTokens) * BigInt(price.outputMicroUsdPerMTok)
  return Number((input + output + TOKENS_PER_PRICE - 1n) / TOKENS_PER_PRICE)
}

function wholeTokens(count: number): bigint {
  if (!Number.isSafeInteger(count) || count < 0) throw new RangeError(`token count ${count} is no whole number from 0`)
  return BigInt(count)
}
