import { readFileSync } from 'node:fs'
import { hash } from 'node:crypto'
import { ShuntError } from '#lib/errors'
import type { Redis } from 'ioredis'

/** Runs one Lua file. Keys of one call must share a hash tag. */
export type LuaScript = (keys: readonly string[], args: readonly (string | number | Buffer)[]) => Promise<unknown>

/**
 * Loads `lua/<name>.lua` by its sha1: EVALSHA sends the text only where Redis has lost it.
 * An unreachable or restarting Redis is SHUNT_REDIS_UNAVAILABLE, retryable.
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

/** Wraps what ioredis throws. A script's own error is a defect and not retryable. */
export function redisError(error: unknown): ShuntError {
  const name = error instanceof Error ? error.message : 'unknown'
  const ours = /^(ERR|WRONGTYPE|CROSSSLOT)\b/.test(name)
  return new ShuntError('SHUNT_REDIS_UNAVAILABLE', `Redis: ${name}`, { retryable: !ours, cause: error })
}
