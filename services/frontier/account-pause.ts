/**
 * Whether a provider's account has money, as far as its answers tell. One without is left alone for a while, and its
 * steps go elsewhere: each call would only be refused. After that a call finds out.
 */
export interface AccountPause {
  isExhausted(): boolean
  /** A call was refused for want of money. */
  refused(): void
}

export function createAccountPause(
  deps: { nowMs: () => number; onExhausted: () => void },
  options: { pauseMs: number },
): AccountPause {
  let untilMs = 0
  return {
    isExhausted: () => deps.nowMs() < untilMs,
    refused() {
      if (deps.nowMs() >= untilMs) deps.onExhausted()
      untilMs = deps.nowMs() + options.pauseMs
    },
  }
}
