import type { SourcePlace, SourceRange } from './source.ts'
import { settleMs } from './verify-steps.ts'

/** Where the partitions of what was read begin and end. */
export function createLogEdges() {
  const firsts = new Map<string, SourcePlace>()
  const positions = new Map<number, number>()
  let lastMs = -Infinity
  /** A partition that begins behind offset 0 has lost its beginning to retention. */
  const latestOf = (places: readonly SourcePlace[]): number =>
    places.reduce((latest, { timestampMs }) => Math.max(latest, timestampMs), -Infinity)

  return {
    positions,
    lastMs: () => lastMs,
    note(place: SourcePlace): void {
      const name = `${place.topic}/${place.partition}`
      if (!firsts.has(name)) firsts.set(name, place)
      positions.set(place.partition, place.offset + 1)
      lastMs = Math.max(lastMs, place.timestampMs)
    },
    /**
     * Before this, records of these partitions of agent.audit are gone. An offset above 0 alone does not say so: a
     * transaction that was aborted takes offsets too.
     */
    cutMs(partitions: readonly number[]): number {
      const cut = new Set(partitions)
      return latestOf([...firsts.values()].filter(({ partition }) => cut.has(partition)))
    },
    /** Within a range by time the topic's own beginning is not seen: it is where even the first record came late. */
    keptFromMs({ sinceMs }: SourceRange): number {
      const places = [...firsts.values()]
      if (places.length === 0) return Infinity
      if (sinceMs === undefined) return latestOf(places.filter(({ offset }) => offset > 0))
      const earliest = places.reduce((least, { timestampMs }) => Math.min(least, timestampMs), Infinity)
      return earliest > sinceMs + settleMs ? latestOf(places) : -Infinity
    },
  }
}
