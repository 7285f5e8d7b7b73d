import type { SourcePlace, SourceReading } from './source.ts'
import { settleMs } from './verify-steps.ts'

/** Where the partitions of what was read begin and end. */
export function createLogEdges() {
  const starts = new Map<string, number>()
  const firsts = new Map<string, SourcePlace>()
  const positions = new Map<number, number>()
  let lastMs = -Infinity
  const nameOf = ({ topic, partition }: SourcePlace): string => `${topic}/${partition}`
  const latestOf = (places: readonly SourcePlace[]): number =>
    places.reduce((latest, { timestampMs }) => Math.max(latest, timestampMs), -Infinity)

  return {
    /** As the source told them. */
    starts: starts as ReadonlyMap<string, number>,
    positions: positions as ReadonlyMap<number, number>,
    lastMs: () => lastMs,
    noteStarts: ((told) => {
      for (const [name, offset] of told) starts.set(name, offset)
    }) satisfies SourceReading['onStarts'],
    note(place: SourcePlace): void {
      const name = nameOf(place)
      if (!firsts.has(name)) firsts.set(name, place)
      positions.set(place.partition, place.offset + 1)
      lastMs = Math.max(lastMs, place.timestampMs)
    },
    /** Retention has left nothing of some partition, so that nobody knows how far it went. */
    isEmptied: () => [...starts].some(([name, offset]) => offset > 0 && !firsts.has(name)),
    /**
     * Before this, records are gone, or were not read; -Infinity where all were. Where a range by time begins before the log
     * does, as where it has no beginning, partitions that were cut are whole from their first record on.
     */
    keptFromMs(sinceMs: number | undefined): number {
      const places = [...firsts.values()]
      // Where nobody tells it, a first offset above 0 says so, unless it is that of the range.
      const isCut = (place: SourcePlace): boolean =>
        (starts.get(nameOf(place)) ?? (sinceMs === undefined ? place.offset : 0)) > 0
      if (sinceMs !== undefined && places.some(({ timestampMs }) => timestampMs <= sinceMs + settleMs)) return sinceMs
      return Math.max(sinceMs ?? -Infinity, latestOf(places.filter(isCut)))
    },
  }
}
