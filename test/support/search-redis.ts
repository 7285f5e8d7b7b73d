import { inflateRawSync } from 'node:zlib'
import { Redis } from 'ioredis'

export interface RedisSearch {
  /** Keys that were looked into. */
  keys: string[]
  /** Of them, those in whose name or value a text was found, compressed or not. */
  found: string[]
}

/** Looks for texts in everything that a namespace has in Redis. */
export async function searchRedis(url: string, namespace: string, texts: readonly string[]): Promise<RedisSearch> {
  const redis = new Redis(url)
  try {
    const keys: string[] = []
    for await (const batch of redis.scanStream({ match: `*${namespace}*`, count: 1_000 }))
      keys.push(...(batch as string[]))
    const found: string[] = []
    for (const key of new Set(keys))
      if (holds([Buffer.from(key), ...(await valuesOf(redis, key))], texts)) found.push(key)
    return { keys, found }
  } finally {
    redis.disconnect()
  }
}

export function holds(values: readonly Buffer[], texts: readonly string[]): boolean {
  return values.some((value) => [value, inflated(value)].some((bytes) => texts.some((text) => bytes.includes(text))))
}

function inflated(value: Buffer): Buffer {
  try {
    return inflateRawSync(value)
  } catch {
    return Buffer.alloc(0)
  }
}

async function valuesOf(redis: Redis, key: string): Promise<Buffer[]> {
  const type = await redis.type(key)
  switch (type) {
    case 'string':
      return [(await redis.getBuffer(key)) ?? Buffer.alloc(0)]
    case 'hash':
      return Object.entries(await redis.hgetallBuffer(key)).flatMap(([name, value]) => [Buffer.from(name), value])
    case 'list':
      return redis.lrangeBuffer(key, 0, -1)
    case 'set':
      return redis.smembersBuffer(key)
    case 'zset':
      return redis.zrangeBuffer(key, 0, -1)
    case 'stream':
      return (await redis.xrangeBuffer(key, '-', '+')).flatMap(([, fields]) => fields)
    // Gone since it was listed.
    case 'none':
      return []
    default:
      throw new Error(`${key} is a ${type}, which nobody searches`)
  }
}
