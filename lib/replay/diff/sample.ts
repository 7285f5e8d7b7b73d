import { hash } from 'node:crypto'

export interface Sample<T> {
  /** `key` names the item; the same key is given once. `make` is called for those that are kept only. */
  offer(key: string, make: () => T): void
  /** In the order of what was drawn. */
  items(): T[]
}

/**
 * A uniform sample without replacement of a stream whose length nobody knows: the items whose keys' hashes are the least
 * (bottom-k; Cohen and Kaplan 2007). Reservoir sampling by position (Vitter 1985) draws as evenly, but what it keeps
 * hangs on the order of the stream; partitions come in any interleaving, and two runs over one range have to agree.
 */
export function createSample<T>(size: number, seed: number): Sample<T> {
  const kept: { rank: string; item: T }[] = []
  return {
    offer(key, make) {
      if (size === 0) return
      const rank = hash('sha256', `${seed}\0${key}`, 'hex')
      if (kept.length === size) {
        if (rank >= kept.at(-1)!.rank) return
        kept.pop()
      }
      const at = kept.findLastIndex((other) => other.rank < rank) + 1
      kept.splice(at, 0, { rank, item: make() })
    },
    items: () => kept.map(({ item }) => item),
  }
}
