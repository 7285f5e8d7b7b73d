import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import { inNamespace } from '#lib/events/topics'
import { ledgerKeys } from './keys.ts'
import { loadLuaScript, redisError } from './lua-script.ts'

/** Keys of what is folded, whoever's they are. */
const foldedPart = /\}:(?:ledger|applied|task:|day:|step:|failures:|answered:)/

/** A lock that its holder does not renew is free after this. */
const lockMs = 15_000

/** What is true of the ledger as a whole. Every method throws SHUNT_REDIS_UNAVAILABLE (retryable). */
export interface LedgerState {
  /**
   * False where what Redis held of any tenant is gone: it must be rebuilt. Gives tenants that are new a ledger of their
   * own, empty, where nothing is lost.
   */
  ensure(tenantIds: readonly string[]): Promise<boolean>
  /** Whether a ledger stands, for all that is known of it. */
  stands(): Promise<boolean>
  /** Whether the ledger stands, and the tenant never had one of its own: no policy ever knew it. */
  isStranger(tenantId: string): Promise<boolean>
  /** How far the log was folded, by topic/partition: the highest offset. */
  positions(): Promise<Record<string, number>>
  note(place: string, offset: number): Promise<void>
  /** Null where another rebuild is under way. Until `finish`, every other script finds the ledger lost. */
  begin(tenantIds: readonly string[]): Promise<Rebuild | null>
}

export interface Rebuild {
  /** Given to the fold. */
  token: string
  /** Call at least every five seconds. False where another has taken over. */
  renew(): Promise<boolean>
  /** The ledger stands from now on. False where another has taken over. */
  finish(tenantIds: readonly string[], positions: Readonly<Record<string, number>>): Promise<boolean>
  /** Lets another begin. */
  giveUp(): Promise<void>
}

export function createLedgerState(deps: { redis: Redis; namespace: string }): LedgerState {
  const { redis } = deps
  const keys = ledgerKeys(deps.namespace)
  const name = (part: string) => inNamespace(deps.namespace, `ledger:${part}`)
  const [state, tenants, lock, positions] = [name('state'), name('tenants'), name('rebuild'), name('positions')]
  const renewLock = loadLuaScript(redis, 'renewLock')

  /** One pass over the keys, whatever the number of tenants; claims and stored answers stay. */
  async function forgetAll(): Promise<void> {
    const match = inNamespace(deps.namespace, '{*}:*')
    for await (const keys of redis.scanStream({ match, count: 1_000 }) as AsyncIterable<string[]>) {
      const folded = keys.filter((key) => foldedPart.test(key))
      if (folded.length > 0) await redis.unlink(...folded)
    }
  }

  return {
    ensure: (tenantIds) =>
      trying(async () => {
        const generation = await redis.hget(state, 'generation')
        if (generation === null) return false
        for (const tenantId of tenantIds) {
          if ((await redis.hexists(keys.ledger(tenantId), 'generation')) === 1) continue
          if ((await redis.sismember(tenants, tenantId)) === 1) return false
          await redis.hset(keys.ledger(tenantId), 'generation', generation)
          await redis.sadd(tenants, tenantId)
        }
        return true
      }),
    stands: () => trying(async () => (await redis.hexists(state, 'generation')) === 1),
    isStranger: (tenantId) =>
      trying(
        async () =>
          (await redis.hexists(state, 'generation')) === 1 && (await redis.sismember(tenants, tenantId)) === 0,
      ),
    positions: () =>
      trying(async () =>
        Object.fromEntries(Object.entries(await redis.hgetall(positions)).map(([at, offset]) => [at, Number(offset)])),
      ),
    note: (place, offset) => trying(async () => void (await redis.hset(positions, place, offset))),
    begin: (tenantIds) =>
      trying(async () => {
        const token = randomUUID()
        if ((await redis.set(lock, token, 'PX', lockMs, 'NX')) === null) return null
        await redis.del(state)
        await redis.del(positions)
        const known = new Set([...tenantIds, ...(await redis.smembers(tenants))])
        // All stand still before anything is forgotten: what is reserved on half a ledger would be.
        for (const tenantId of known) await redis.hdel(keys.ledger(tenantId), 'generation')
        await forgetAll()
        for (const tenantId of known) await redis.hset(keys.ledger(tenantId), 'rebuild', token)
        return rebuildOf(token)
      }),
  }

  function rebuildOf(token: string): Rebuild {
    const holds = async () => (await renewLock([lock], [token, lockMs])) === 1
    return {
      token,
      renew: holds,
      finish: (tenantIds, folded) =>
        trying(async () => {
          if (!(await holds())) return false
          for (const tenantId of tenantIds) {
            await redis
              .multi()
              .hset(keys.ledger(tenantId), 'generation', token)
              .hdel(keys.ledger(tenantId), 'rebuild')
              .exec()
            await redis.sadd(tenants, tenantId)
          }
          if (Object.keys(folded).length > 0) await redis.hset(positions, folded)
          await redis.hset(state, 'generation', token)
          await redis.del(lock)
          return true
        }),
      giveUp: () => trying(async () => void ((await holds()) && (await redis.del(lock)))),
    }
  }
}

/** Of a namespace whose log is empty, where no ledger service runs: a benchmark of one part alone. */
export async function openLedger(state: LedgerState, tenantIds: readonly string[]): Promise<void> {
  const rebuild = await state.begin(tenantIds)
  await rebuild?.finish(tenantIds, {})
}

async function trying<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw redisError(error)
  }
}
