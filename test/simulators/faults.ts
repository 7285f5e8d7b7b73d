/** What happens to one request. `none` answers as asked. */
export type Fault = 'none' | 'rate_limited' | 'server_error' | 'slow' | 'cut_off' | 'malformed'

export interface Behaviour {
  /** Time before the answer, ms; the median where it is drawn. @default 0 */
  latencyMs: number
  /** Spread of a lognormal latency; 0: every answer takes the same. @default 0 */
  latencySigma: number
  /** Longest time on the way to the provider, before it counts the request, ms; drawn evenly from 0. @default 0 */
  jitterMs: number
  /** Time before a slow answer, ms. @default 5_000 */
  slowMs: number
  /** Requests worked on at once; one more gets 429, as from a full server. @default unlimited */
  slots: number
  /** Retry-After of a 429, whole seconds. @default 1 */
  retryAfterS: number
  /** Chance of each fault, parts per million. @default 0 */
  rateLimitedPpm: number
  serverErrorPpm: number
  slowPpm: number
  cutOffPpm: number
  malformedPpm: number
}

export const calm: Behaviour = {
  latencyMs: 0,
  latencySigma: 0,
  jitterMs: 0,
  slowMs: 5_000,
  slots: Number.POSITIVE_INFINITY,
  retryAfterS: 1,
  rateLimitedPpm: 0,
  serverErrorPpm: 0,
  slowPpm: 0,
  cutOffPpm: 0,
  malformedPpm: 0,
}

/** mulberry32: the same seed gives the same run of numbers in [0, 1). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Lognormal, as the times of servers are: most near the median, a few many times as long. */
export function drawLatencyMs({ latencyMs, latencySigma }: Behaviour, random: () => number): number {
  if (latencySigma === 0) return latencyMs
  // Box-Muller.
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  return latencyMs * Math.exp(latencySigma * normal)
}

/** One draw decides among all faults, so that their chances add up. */
export function drawFault(behaviour: Behaviour, random: () => number): Fault {
  let left = random() * 1_000_000
  const chances: [Fault, number][] = [
    ['rate_limited', behaviour.rateLimitedPpm],
    ['server_error', behaviour.serverErrorPpm],
    ['slow', behaviour.slowPpm],
    ['cut_off', behaviour.cutOffPpm],
    ['malformed', behaviour.malformedPpm],
  ]
  for (const [fault, ppm] of chances) {
    if (left < ppm) return fault
    left -= ppm
  }
  return 'none'
}
