import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import { ShuntError } from '#lib/errors'
import { inNamespace } from '#lib/events/topics'
import { loadLuaScript, redisError } from '#lib/ledger/lua-script'

/** A lock that its command does not renew is free after this. */
const lockMs = 10_000
const renewMs = 3_000

export interface ReplayLock extends AsyncDisposable {
  /** Aborts where another command has it: this one stood still for too long. */
  lost: AbortSignal
}

/**
 * One command at a time works on a replay, from its plan on: two would copy each step twice, or run under each other's
 * policy, and one that is removed meanwhile would come back in part. Lies among the replay's own keys. Throws
 * SHUNT_REPLAY_REFUSED where another command has it, and SHUNT_REDIS_UNAVAILABLE (retryable).
 */
export async function lockReplay(redis: Redis, namespace: string): Promise<ReplayLock> {
  const key = inNamespace(namespace, 'replay:command')
  const token = randomUUID()
  const lost = new AbortController()
  const renewLock = loadLuaScript(redis, 'renewLock')
  const keepFor = async (ms: number) => (await renewLock([key], [token, ms])) === 1
  const take = async () => (await redis.set(key, token, 'PX', lockMs, 'NX')) !== null
  const refusal = () =>
    new ShuntError(
      'SHUNT_REPLAY_REFUSED',
      `another command works on ${namespace}: wait for it or stop it; where it was killed, try again in ten seconds`,
    )

  const isFree = await take().catch((error: unknown) => {
    throw redisError(error)
  })
  if (!isFree) throw refusal()
  const renewing = setInterval(() => {
    // A Redis that is away, or was emptied, lets nobody else in.
    void (async () => {
      if (!(await keepFor(lockMs)) && !(await take())) lost.abort(refusal())
    })().catch(() => {})
  }, renewMs)
  renewing.unref()

  return {
    lost: lost.signal,
    async [Symbol.asyncDispose]() {
      clearInterval(renewing)
      await keepFor(0).catch(() => {})
    },
  }
}
