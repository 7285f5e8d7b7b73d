/**
 * Items that wait, each under a key: the keys take turns, and within one key the first goes first. A key that comes
 * anew takes its place at the end of the line. So with k keys waiting each has its turn at least every k turns, however
 * many items the others have.
 */
export interface FairQueue<T> {
  add(item: T): void
  /** Whose turn it is. */
  next(): T | undefined
  /** The first item of each key, in the order of their turns. */
  firsts(): Iterable<T>
  /** All items: key by key in the order of their turns, each key's in theirs. */
  [Symbol.iterator](): Iterator<T>
  /** Takes an item that waits out, as its key's turn: the key goes to the end of the line. */
  take(item: T): void
  /** Takes an item out, if it waits; its key keeps its place in the line. */
  remove(item: T): void
  clear(): void
  size(): number
}

/** `keyOf` must give an item the same key each time. Without `compare`, items of a key go in the order of their coming. */
export function createFairQueue<T>(
  keyOf: (item: T) => string,
  compare: (a: T, b: T) => number = () => 0,
): FairQueue<T> {
  // A map keeps the order of insertion: the first key is the one whose turn it is.
  const line = new Map<string, { items: Set<T>; last: T }>()
  let size = 0

  function* firsts(): Generator<T> {
    for (const { items } of line.values()) yield items.values().next().value as T
  }

  function remove(item: T): void {
    const key = keyOf(item)
    const own = line.get(key)
    if (!own?.items.delete(item)) return
    size -= 1
    if (own.items.size === 0) line.delete(key)
  }

  return {
    add(item) {
      size += 1
      const key = keyOf(item)
      const own = line.get(key)
      if (!own) {
        line.set(key, { items: new Set([item]), last: item })
        return
      }
      own.items.add(item)
      if (compare(own.last, item) <= 0) own.last = item
      else own.items = new Set([...own.items].toSorted(compare))
    },
    next: () => firsts().next().value as T | undefined,
    firsts,
    *[Symbol.iterator]() {
      for (const { items } of line.values()) yield* items
    },
    take(item) {
      const key = keyOf(item)
      const own = line.get(key)
      remove(item)
      if (!own || own.items.size === 0) return
      line.delete(key)
      line.set(key, own)
    },
    remove,
    clear() {
      line.clear()
      size = 0
    },
    size: () => size,
  }
}
