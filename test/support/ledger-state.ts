import type { Redis } from 'ioredis'
import type { Codec } from '#lib/events/codec'
import { createFold } from '#lib/ledger/fold'
import { foldAuditRecord } from '#lib/ledger/fold-record'
import { createLedgerState, openLedger } from '#lib/ledger/ledger-state'
import type { ReadLink } from './audit-chains.ts'

/** What a ledger says of its tenants: accounts and failures, zeros left out. */
export type LedgerDump = Record<string, Record<string, string>>

/** Everything that the ledger of a namespace keeps of money and failures. */
export async function dumpLedger(redis: Redis, namespace: string): Promise<LedgerDump> {
  const dump: LedgerDump = {}
  for (const part of ['task', 'day'])
    for (const key of await keysOf(redis, `${namespace}.{*}:${part}:*`)) {
      const fields = Object.entries(await redis.hgetall(key)).filter(([, value]) => value !== '0')
      if (fields.length > 0) dump[nameOf(key, namespace)] = Object.fromEntries(fields)
    }
  for (const key of await keysOf(redis, `${namespace}.{*}:failures:*`)) {
    const [failures, successes] = (await redis.get(key))!.split(' ').map((text) => Number(text).toFixed(6))
    dump[nameOf(key, namespace)] = { failures: failures!, successes: successes! }
  }
  return dump
}

/** Folds an audit that was read from the topic into a ledger of its own, partition by partition. */
export async function foldAside(
  deps: { redis: Redis; codec: Codec },
  links: readonly ReadLink[],
  namespace: string,
  tenantIds: readonly string[],
): Promise<void> {
  await openLedger(createLedgerState({ redis: deps.redis, namespace }), tenantIds)
  const fold = createFold({ redis: deps.redis, namespace })
  const inOrder = links.toSorted((a, b) => a.partition - b.partition || a.offset - b.offset)
  for (const { record, partition, offset } of inOrder)
    await foldAuditRecord(fold, deps.codec, record, { place: `agent.audit/${partition}`, offset })
}

/** As FLUSHALL would, for one namespace: others share the server. */
export async function loseRedis(redis: Redis, namespace: string): Promise<number> {
  const keys = await keysOf(redis, `${namespace}.*`)
  if (keys.length > 0) await redis.unlink(...keys)
  return keys.length
}

async function keysOf(redis: Redis, match: string): Promise<string[]> {
  const found: string[] = []
  for await (const keys of redis.scanStream({ match, count: 1_000 }) as AsyncIterable<string[]>) found.push(...keys)
  return [...new Set(found)]
}

function nameOf(key: string, namespace: string): string {
  return key.slice(namespace.length + 1)
}
