import type { Redis } from 'ioredis'
import { inNamespace } from '#lib/events/topics'

/** What is remembered of a lane when it opens. */
export interface LaneMemory {
  /** Ends without a close, since the lane last made progress. */
  uncleanEnds: number
  /** How often the process died while a record was the only one marked, by offset. */
  deaths: ReadonlyMap<number, number>
}

/**
 * Remembers, outside the processes, which lanes ended without being closed and which record was alone when they did:
 * the only way to find a record that kills the process that handles it. All methods reject while Redis is away.
 */
export interface PoisonMemory {
  /** `owner` names one life of one process. Where another owner held the lane and did not close it, that was a death. */
  opened(lane: string, owner: string): Promise<LaneMemory>
  /** The lane got past what was there when it opened; below `low` all is done. */
  progressed(lane: string, low: number): Promise<void>
  /** The record at `offset` is about to be handled, alone. */
  marked(lane: string, offset: number): Promise<void>
  /** What came of it is committed, or it failed in an orderly way. */
  cleared(lane: string, offset: number): Promise<void>
  /**
   * The lane was given up in order, with the record at `marked` aborted where there is one. No progress: a lane whose
   * process dies late may have been elsewhere in between, and must be found suspect all the same.
   */
  closed(lane: string, owner: string, marked: number | null): Promise<void>
}

/** After this many unclean ends in a row a lane is suspect: its records are handled one at a time, marked. */
export const suspectAfter = 2
/** A record that was alone at this many deaths is not handled again. */
export const poisonDeaths = 3
/** A lane nobody opens for so long is forgotten, ms. */
const keepMs = 7 * 86_400_000

const deathsField = (offset: number | string) => `deaths:${offset}`

/**
 * One hash a lane: owner, unclean, mark, and deaths:<offset> for each record that was alone at one. No script: a lane
 * has one owner, and two that overlap for a moment can at worst miscount by one, which a later progress or death puts
 * right.
 */
export function createPoisonMemory(redis: Redis, options: { namespace: string }): PoisonMemory {
  const keyOf = (lane: string) => inNamespace(options.namespace, `poison:${lane}`)
  return {
    async opened(lane, owner) {
      const key = keyOf(lane)
      const known = await redis.hgetall(key)
      const died = known['owner'] !== undefined && known['owner'] !== owner
      const uncleanEnds = Number(known['unclean'] ?? 0) + (died ? 1 : 0)
      const deaths = new Map<number, number>()
      for (const [field, count] of Object.entries(known)) {
        const offset = offsetOf(field)
        if (offset !== undefined) deaths.set(offset, Number(count))
      }
      const writing = redis.multi().hset(key, { owner, unclean: uncleanEnds }).pexpire(key, keepMs)
      if (died && known['mark'] !== undefined) {
        const marked = Number(known['mark'])
        deaths.set(marked, (deaths.get(marked) ?? 0) + 1)
        // Counted once: the next owner may die of something else before it marks anything.
        writing.hincrby(key, deathsField(marked), 1).hdel(key, 'mark')
      }
      await writing.exec()
      return { uncleanEnds, deaths }
    },
    async progressed(lane, low) {
      const key = keyOf(lane)
      const done = (await redis.hkeys(key)).filter((field) => (offsetOf(field) ?? low) < low)
      const writing = redis.multi().hset(key, 'unclean', 0)
      if (done.length > 0) writing.hdel(key, ...done)
      await writing.exec()
    },
    async marked(lane, offset) {
      await redis.hset(keyOf(lane), 'mark', offset)
    },
    async cleared(lane, offset) {
      await redis.hdel(keyOf(lane), 'mark', deathsField(offset))
    },
    async closed(lane, owner, marked) {
      const key = keyOf(lane)
      const known = await redis.hgetall(key)
      const writing = redis.multi().pexpire(key, keepMs)
      if (known['owner'] === owner) writing.hdel(key, 'owner', 'mark')
      else {
        // The next owner opened it before this one had closed it, and counted a death.
        if (Number(known['unclean'] ?? 0) > 0) writing.hincrby(key, 'unclean', -1)
        if (marked !== null && Number(known[deathsField(marked)] ?? 0) > 0)
          writing.hincrby(key, deathsField(marked), -1)
      }
      await writing.exec()
    },
  }
}

/** Of a field that counts deaths. */
function offsetOf(field: string): number | undefined {
  return field.startsWith(deathsField('')) ? Number(field.slice(deathsField('').length)) : undefined
}
