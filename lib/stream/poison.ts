import type { Redis } from 'ioredis'
import { inNamespace } from '#lib/events/topics'

/** What is remembered of a lane when it opens. */
export interface LaneMemory {
  /** Ends without a close, since the lane last made progress. */
  uncleanEnds: number
  /** The record that was the only one marked when its process died, and how often; null where none was. */
  mark: { offset: number; deaths: number } | null
}

/**
 * Remembers, outside the processes, which lanes ended without being closed and which record was alone when they did:
 * the only way to find a record that kills the process that handles it. All methods reject while Redis is away.
 */
export interface PoisonMemory {
  /** `owner` names one life of one process. Where another owner held the lane and did not close it, that was a death. */
  opened(lane: string, owner: string): Promise<LaneMemory>
  /** The lane got past what was there when it opened. */
  progressed(lane: string): Promise<void>
  /** The record at `offset` is about to be handled, alone. */
  marked(lane: string, offset: number): Promise<void>
  /** It did no harm. */
  cleared(lane: string): Promise<void>
  /** The lane was given up in order. */
  closed(lane: string, owner: string): Promise<void>
}

/** After this many unclean ends in a row a lane is suspect: its records are handled one at a time, marked. */
export const suspectAfter = 2
/** A record that was alone at this many deaths is not handled again. */
export const poisonDeaths = 3
/** A lane nobody opens for so long is forgotten, ms. */
const keepMs = 7 * 86_400_000

/**
 * One hash a lane: owner, unclean, mark, deaths. No script: a lane has one owner, and two that overlap for a moment can
 * at worst miscount by one, which a later progress or death puts right.
 */
export function createPoisonMemory(redis: Redis, options: { namespace: string }): PoisonMemory {
  const keyOf = (lane: string) => inNamespace(options.namespace, `poison:${lane}`)
  return {
    async opened(lane, owner) {
      const key = keyOf(lane)
      const known = await redis.hgetall(key)
      const died = known['owner'] !== undefined && known['owner'] !== owner
      const uncleanEnds = Number(known['unclean'] ?? 0) + (died ? 1 : 0)
      const marked = known['mark'] !== undefined
      const deaths = Number(known['deaths'] ?? 0) + (died && marked ? 1 : 0)
      await redis
        .multi()
        .hset(key, { owner, unclean: uncleanEnds, ...(marked ? { deaths } : {}) })
        .pexpire(key, keepMs)
        .exec()
      return { uncleanEnds, mark: marked ? { offset: Number(known['mark']), deaths } : null }
    },
    async progressed(lane) {
      await redis.hset(keyOf(lane), 'unclean', 0)
    },
    async marked(lane, offset) {
      const key = keyOf(lane)
      if ((await redis.hget(key, 'mark')) !== String(offset)) await redis.hset(key, { mark: offset, deaths: 0 })
    },
    async cleared(lane) {
      await redis.hdel(keyOf(lane), 'mark', 'deaths')
    },
    async closed(lane, owner) {
      const key = keyOf(lane)
      if ((await redis.hget(key, 'owner')) === owner) await redis.del(key)
      else await redis.multi().hset(key, 'unclean', 0).pexpire(key, keepMs).exec()
    },
  }
}
