/**
 * What of a partition is done, to the offset: the records handed over and not yet committed, and the position up to
 * which the log was read. Pure.
 *
 * Why keep the incomplete offsets and not the finished ones? Control records and compaction leave holes that are never
 * delivered; an offset without an entry below the position then counts as finished, which is right. Refused: a range
 * from the lowest to the highest offset, which waits for holes for ever.
 */
export interface OffsetTracker {
  /** Next offset to be fetched. */
  position(): number
  /** Lowest offset that is not committed as done. */
  low(): number
  /**
   * Takes over what the broker holds as committed, keeping entries that are held here. `logStart` is the partition's
   * first offset: awaited records below it are gone for good. Returns the held offsets that turn out to be done.
   */
  restore(committed: Progress, logStart: number): number[]
  /**
   * One fetched batch from `first` to `last`, with the offsets of its records. Returns those to be handled: not those
   * already held or done. The caller makes sure that `first` is at or below the position.
   */
  receive(first: number, last: number, offsets: readonly number[]): number[]
  /** The record is about to be handled: from now on commits name it while it is incomplete. */
  start(offset: number): void
  /** True as long as the offset is neither committed nor known to be done. */
  isIncomplete(offset: number): boolean
  /** What to commit once `done` is done as well. */
  progress(done: ReadonlySet<number>): Progress
  /** Forgets offsets that were committed. */
  settle(done: Iterable<number>): void
  /** True if one more record can be started without the encoded progress passing `maxBytes`. */
  hasRoom(offset: number, maxBytes: number): boolean
}

/** What of a partition is done, as committed: everything below `low`, and what lies between but is not incomplete. */
export interface Progress {
  /** Lowest incomplete offset. */
  low: number
  /** One past the highest started offset; at `low` when nothing above was started. */
  upTo: number
  /** Incomplete offsets above `low` and below `upTo`, rising. */
  incomplete: number[]
}

type State = 'awaited' | 'held'

/** Most that the distance from the lowest to upTo takes. */
const spanBytes = 8

/** Bytes of the varint of a delta between two incomplete offsets (progress-codec.ts). */
export function varintBytes(value: number): number {
  let bytes = 1
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes += 1
  return bytes
}

export function createOffsetTracker(): OffsetTracker {
  // In order of offset, since records arrive so and restore() sorts; what is committed is deleted.
  let entries = new Map<number, State>()
  let position = -1
  // Below this, an offset without an entry is done.
  let readUpTo = 0
  // One past the highest started offset.
  let startedUpTo = 0
  // Never below the bytes that the incomplete offsets below startedUpTo take; removing an offset only makes them fewer.
  let bytesAtMost = 0
  let lastCounted = 0

  function count(offset: number): void {
    bytesAtMost += varintBytes(Math.max(0, offset - lastCounted))
    lastCounted = offset
  }

  function recount(): void {
    bytesAtMost = 0
    let first = true
    for (const offset of entries.keys()) {
      if (offset >= startedUpTo) break
      if (first) lastCounted = offset
      first = false
      count(offset)
    }
  }

  /** Of the offsets that commits would name as well once `offset` was started. */
  function bytesOf(offset: number): number {
    let bytes = 0
    let before = lastCounted
    for (const held of entriesBetween(entries, startedUpTo, offset)) {
      bytes += varintBytes(Math.max(0, held - before))
      before = held
    }
    return bytes
  }

  return {
    position: () => position,
    low: () => entries.keys().next().value ?? Math.max(position, readUpTo, 0),
    restore(committed, logStart) {
      const incomplete = new Set(committed.incomplete)
      if (committed.upTo > committed.low) incomplete.add(committed.low)
      const done: number[] = []
      const merged = new Map<number, State>()
      for (const offset of incomplete) if (offset >= logStart) merged.set(offset, 'awaited')
      for (const [offset, state] of entries) {
        if (offset < committed.low || (offset < committed.upTo && !incomplete.has(offset))) {
          if (state === 'held') done.push(offset)
        } else if (state === 'held' || offset >= logStart) merged.set(offset, state)
      }
      entries = new Map([...merged].toSorted(([a], [b]) => a - b))
      readUpTo = Math.max(readUpTo, committed.upTo)
      startedUpTo = Math.max(startedUpTo, committed.upTo)
      const awaited = [...entries].find(([, state]) => state === 'awaited')?.[0]
      position = awaited ?? Math.max(position, committed.low, logStart)
      recount()
      return done
    },
    receive(first, last, offsets) {
      const fresh: number[] = []
      const present = new Set(offsets)
      for (const offset of offsets) {
        const state = entries.get(offset)
        if (state === 'held') continue
        if (state === undefined && (offset < readUpTo || offset < position)) continue
        entries.set(offset, 'held')
        fresh.push(offset)
      }
      // Awaited ones that the log no longer has: compacted away.
      for (const [offset, state] of entries) {
        if (offset > last) break
        if (state === 'awaited' && offset >= first && !present.has(offset)) entries.delete(offset)
      }
      position = Math.max(position, last + 1)
      readUpTo = Math.max(readUpTo, position)
      return fresh
    },
    start(offset) {
      if (offset < startedUpTo) return
      for (const held of entriesBetween(entries, startedUpTo, offset)) count(held)
      startedUpTo = offset + 1
    },
    isIncomplete: (offset) => entries.has(offset),
    progress(done) {
      const incomplete: number[] = []
      let low = -1
      for (const offset of entries.keys()) {
        if (done.has(offset)) continue
        if (low < 0) low = offset
        else if (offset < startedUpTo) incomplete.push(offset)
        else break
      }
      if (low < 0) low = Math.max(position, readUpTo)
      return { low, upTo: Math.max(low, startedUpTo), incomplete }
    },
    settle(done) {
      for (const offset of done) entries.delete(offset)
    },
    hasRoom(offset, maxBytes) {
      if (offset < startedUpTo) return true
      if (bytesAtMost + spanBytes + bytesOf(offset) <= maxBytes) return true
      recount()
      return bytesAtMost + spanBytes + bytesOf(offset) <= maxBytes
    },
  }
}

/** Held offsets from `from` to `to`, both included. Almost always just `to`, the next in order. */
function entriesBetween(entries: ReadonlyMap<number, State>, from: number, to: number): number[] {
  if (from >= to || !hasAny(entries, from, to)) return [to]
  return [...entries.keys()].filter((offset) => offset >= from && offset <= to)
}

function hasAny(entries: ReadonlyMap<number, State>, from: number, to: number): boolean {
  if (to - from > entries.size) return true
  for (let offset = from; offset < to; offset++) if (entries.has(offset)) return true
  return false
}
