export interface Strikes {
  /** How often of late. */
  count(key: string): number
  /** One more; returns the count. */
  add(key: string): number
}

const maxKeys = 1_000

/** What was late, and how often, for a while; of the many keys that a stranger could make up the newest are kept. */
export function createStrikes(deps: { nowMs: () => number }, options: { forgiveAfterMs: number }): Strikes {
  const known = new Map<string, { count: number; atMs: number }>()

  function count(key: string): number {
    const strike = known.get(key)
    if (strike === undefined) return 0
    if (deps.nowMs() - strike.atMs < options.forgiveAfterMs) return strike.count
    known.delete(key)
    return 0
  }

  return {
    count,
    add(key) {
      const strike = { count: count(key) + 1, atMs: deps.nowMs() }
      known.delete(key)
      known.set(key, strike)
      if (known.size > maxKeys) known.delete(known.keys().next().value!)
      return strike.count
    },
  }
}
