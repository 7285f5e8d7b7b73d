import { readFileSync } from 'node:fs'
import { hash } from 'node:crypto'
import { ShuntError } from '#lib/errors'
import type { Redis } from 'ioredis'

/** Runs one Lua file. Keys of one call must share a hash tag. */
export type LuaScript = (keys: readonly string[], args: readonly (string | number | Buffer)[]) => Promise<unknown>

/**
 * Loads `lua/<name>.lua` by its sha1: EVALSHA sends the text only where Redis has lost it.
 * Throws SHUNT_REDIS_UNAVAILABLE (retryable).
 */
export function loadLuaScript(redis: Redis, name: string): LuaScript {
  const text = readFileSync(new URL(`lua/${name}.lua`, import.meta.url), 'utf8')
  const sha1 = hash('sha1', text)
  return async (keys, args) => {
    try {
      return await redis.evalsha(sha1, keys.length, ...keys, ...args)
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw redisError(error)
    }
    try {
      return await redis.eval(text, keys.length, ...keys, ...args)
    } catch (error) {
      throw redisError(error)
    }
  }
}

/**
 * Wraps what ioredis throws. Always retryable, a script's own error too: it is a defect of ours or a Redis that is too
 * old, and no fault of the step, which must not be rejected for it.
 */
export function redisError(error: unknown): ShuntError {
  const message = error instanceof Error ? error.message : 'unknown'
  return new ShuntError('SHUNT_REDIS_UNAVAILABLE', `Redis: ${message}`, { retryable: true, cause: error })
}
