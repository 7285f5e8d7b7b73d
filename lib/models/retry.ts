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
