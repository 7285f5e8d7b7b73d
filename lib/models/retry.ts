import { setTimeout as sleep } from 'node:timers/promises'
import { ModelCallError } from './model-call-error.ts'

export interface BackoffOptions {
  /** Upper end of the first wait, ms; doubles with each. @default 250 */
  baseMs?: number
  /** No wait is longer, unless the server's Retry-After is. @default 20_000 */
  maxMs?: number
}

/**
 * Wait before try number `tries + 1`, ms: anywhere from 0 to the exponential bound ("full jitter"), so that those who
 * failed together do not come back together; never less than the server asked for.
 */
export function backoffMs(
  tries: number,
  random: () => number,
  retryAfterMs: number | undefined,
  options: BackoffOptions = {},
): number {
  const bound = Math.min(options.maxMs ?? 20_000, (options.baseMs ?? 250) * 2 ** (tries - 1))
  const jitter = Math.round(random() * bound)
  return retryAfterMs === undefined ? jitter : retryAfterMs + jitter
}

export interface RetryOptions extends BackoffOptions {
  /** Calls in all. */
  maxTries: number
  /** No wait reaches beyond; epoch ms. */
  deadlineAtMs: number
  signal: AbortSignal
}

export interface RetryDeps {
  nowMs: () => number
  random: () => number
  sleep?: (ms: number, signal: AbortSignal) => Promise<unknown>
}

/** Repeats `work` while it fails with what is transient, until tries or time are used up; then the last error stands. */
export async function withRetries<T>(
  deps: RetryDeps,
  options: RetryOptions,
  work: (tryNumber: number) => Promise<T>,
): Promise<T> {
  const pause = deps.sleep ?? ((ms, signal) => sleep(ms, undefined, { signal }))
  for (let tries = 1; ; tries++) {
    try {
      return await work(tries)
    } catch (error) {
      if (!(error instanceof ModelCallError) || !error.transient || tries >= options.maxTries) throw error
      const waitMs = backoffMs(tries, deps.random, error.retryAfterMs, options)
      if (deps.nowMs() + waitMs >= options.deadlineAtMs || options.signal.aborted) throw error
      await pause(waitMs, options.signal).catch(() => undefined)
      if (options.signal.aborted) throw error
    }
  }
}
