import type { LimitReport } from '#lib/models/rate-limit-headers'
import type { PolicyProvider } from '#lib/policy/schema'

/** What one call may use at most, or did use. */
export interface CallSize {
  inputTokens: number
  outputTokens: number
}

/** The limits of a provider for one model, in each window of time. One that is absent is none. */
export interface ProviderWindow {
  /** Length of the provider's window. */
  windowMs: number
  /** From a reservation to the request's arrival at the provider, at most. */
  guardMs: number
  requests?: number | undefined
  inputTokens?: number | undefined
  outputTokens?: number | undefined
  /** Input and output together. */
  tokens?: number | undefined
}

/** Names the calls of one provider for one model: the hash tag of what is counted and kept of them. '~' is in no id. */
export function providerQueue(provider: string, model: string): string {
  return `${provider}~${model}`
}

const minuteMs = 60_000

/** The limits of a provider of the policy for one of its models; rounded down, and never to nothing. */
export function windowOf(limits: NonNullable<PolicyProvider['limits']>, model: string): ProviderWindow {
  const { windowMs, guardMs, perModel, ...all } = limits
  const own = perModel?.[model] ?? {}
  const inWindow = (own: number | undefined, ofAll: number | undefined) => {
    const perMinute = own ?? ofAll
    return perMinute === undefined ? undefined : Math.max(1, Math.floor((perMinute * windowMs) / minuteMs))
  }
  return {
    windowMs,
    guardMs,
    requests: inWindow(own.requestsPerMinute, all.requestsPerMinute),
    inputTokens: inWindow(own.inputTokensPerMinute, all.inputTokensPerMinute),
    outputTokens: inWindow(own.outputTokensPerMinute, all.outputTokensPerMinute),
    tokens: inWindow(own.tokensPerMinute, all.tokensPerMinute),
  }
}

/**
 * Time in which the limits come to one call of this size, ms; a fraction for small ones. Calls that keep such a distance
 * are spread evenly (virtual scheduling, as in the GCRA of ATM Forum TM 4.0).
 */
export function callTimeMs(window: ProviderWindow, size: CallSize): number {
  const parts = [
    part(1, window.requests),
    part(size.inputTokens, window.inputTokens),
    part(size.outputTokens, window.outputTokens),
    part(size.inputTokens + size.outputTokens, window.tokens),
  ]
  return Math.max(...parts) * window.windowMs
}

function part(amount: number, limit: number | undefined): number {
  return limit === undefined ? 0 : amount / limit
}

/**
 * What others use of the limits, by the provider's word: what it says is used, less what we knew of when the call was
 * reserved. Why that moment? The provider tells what it had counted when the request came in; by the time of the answer
 * we have given back and reserved more. Null where it tells nothing.
 */
export function usedByOthers(
  window: ProviderWindow,
  known: { requests: number } & CallSize,
  report: LimitReport,
): { requests: number; inputTokens: number; outputTokens: number; tokens: number; forMs: number } | null {
  const told = [report.requests, report.inputTokens, report.outputTokens, report.tokens]
  if (told.every((each) => each === undefined)) return null
  const others = (limit: number | undefined, left: number | undefined, ours: number) =>
    limit === undefined || left === undefined ? 0 : Math.min(limit, Math.max(0, limit - left - ours))
  return {
    requests: others(window.requests, report.requests, known.requests),
    inputTokens: others(window.inputTokens, report.inputTokens, known.inputTokens),
    outputTokens: others(window.outputTokens, report.outputTokens, known.outputTokens),
    tokens: others(window.tokens, report.tokens, known.inputTokens + known.outputTokens),
    forMs: Math.ceil(Math.min(report.resetMs ?? window.windowMs, window.windowMs)),
  }
}
