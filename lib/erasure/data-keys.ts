import { hkdfSync, type webcrypto } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { ShuntError } from '#lib/errors'
import { keyMadeAtMs, listKeyFiles, readKeyFile, unavailable, type KeyFile } from './key-files.ts'

/** A tenant's key as it is used. */
export interface DataKey {
  id: string
  /** AES-256-GCM; not extractable. */
  cipher: webcrypto.CryptoKey
  /** Of the same bytes by HKDF, for initialization vectors (sealed-text.ts). */
  ivSecret: Buffer
}

/**
 * The data keys of a site. Both throw SHUNT_DATA_KEYS_UNAVAILABLE (retryable) where keys cannot be read; a key that is
 * not there, in a directory that is, was deleted.
 */
export interface DataKeys {
  /** The one to seal with; undefined for a tenant that has none. */
  newest(tenantId: string): Promise<DataKey | undefined>
  byId(tenantId: string, keyId: string): Promise<DataKey | undefined>
}

export interface DataKeysOptions {
  /**
   * How long keys are held in memory after they were read, used or not: a key that was deleted is forgotten within this
   * time, of which docs/erasure.md promises 60 s. @default 10_000
   */
  keepMs?: number
  /**
   * At least, between two readings of a tenant's keys, ms: who first asks for one that is not there waits so long at most.
   * @default 1_000
   */
  lookAgainMs?: number
  /**
   * A younger key is sealed with only where there is no older one: until then it may not have reached every process that
   * opens. @default 120_000
   */
  settleMs?: number
  nowMs?: () => number
}

interface Held {
  keys: readonly DataKey[]
  readAtMs: number
  /** Ids that this reading was made for, and did not find. */
  missing: Set<string>
}

/** Reads the keys of a tenant when one is asked for, and forgets them by itself. */
export function openDataKeys(dir: string, options: DataKeysOptions = {}): DataKeys {
  const { keepMs = 10_000, lookAgainMs = 1_000, settleMs = 120_000, nowMs = Date.now } = options
  // The reading under way, or done: those who ask meanwhile wait for the same.
  const held = new Map<string, Promise<Held>>()

  function read(tenantId: string): Promise<Held> {
    const readAtMs = nowMs()
    const reading = readKeys(dir, tenantId).then((keys) => ({ keys, readAtMs, missing: new Set<string>() }))
    held.set(tenantId, reading)
    const forget = () => {
      if (held.get(tenantId) === reading) held.delete(tenantId)
    }
    reading.then(() => setTimeout(forget, keepMs).unref(), forget)
    return reading
  }

  const readings = new Map<string, Promise<Held>>()

  /** One that begins after the question: whoever sealed with a key may have got it a moment ago. */
  function readAgain(tenantId: string, readAtMs: number): Promise<Held> {
    const begun = readings.get(tenantId)
    if (begun) return begun
    const waitMs = Math.min(lookAgainMs, Math.max(0, readAtMs + lookAgainMs - nowMs()))
    const reading = sleep(waitMs).then(() => {
      readings.delete(tenantId)
      return read(tenantId)
    })
    readings.set(tenantId, reading)
    return reading
  }

  const keysOf = (tenantId: string): Promise<Held> => held.get(tenantId) ?? read(tenantId)

  return {
    async newest(tenantId) {
      const { keys } = await keysOf(tenantId)
      const settledMs = nowMs() - settleMs
      return keys.findLast(({ id }) => (keyMadeAtMs(id) ?? 0) <= settledMs) ?? keys[0]
    },
    async byId(tenantId, keyId) {
      const { keys, readAtMs, missing } = await keysOf(tenantId)
      const known = keys.find(({ id }) => id === keyId)
      // Who goes on publishing with a deleted key must not have each of its steps wait, and others behind them.
      if (known || (missing.has(keyId) && nowMs() < readAtMs + lookAgainMs)) return known
      const again = await readAgain(tenantId, readAtMs)
      const found = again.keys.find(({ id }) => id === keyId)
      if (!found) again.missing.add(keyId)
      return found
    },
  }
}

async function readKeys(dir: string, tenantId: string): Promise<DataKey[]> {
  const files = await listKeyFiles(dir, tenantId)
  return (await Promise.all(files.map(readKey))).filter((key) => key !== null)
}

/** Null for one that was deleted since it was listed. */
async function readKey(file: KeyFile): Promise<DataKey | null> {
  try {
    return await dataKeyOf(file.keyId, await readKeyFile(file))
  } catch (cause) {
    if (cause instanceof ShuntError) throw cause
    const { code, message } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT') return null
    // Whatever it is, no key was deleted by it: a stale mount, no file descriptor left, a directory in the key's place.
    throw unavailable(
      code === 'EACCES'
        ? `${file.path} cannot be read: let the process's user read it`
        : `${file.path} cannot be read (${message}): mend the mount, or bring the file back from its backup`,
      cause,
    )
  }
}

export async function dataKeyOf(id: string, bytes: Buffer): Promise<DataKey> {
  const cipher = await crypto.subtle.importKey('raw', Uint8Array.from(bytes), 'AES-GCM', false, ['encrypt', 'decrypt'])
  return { id, cipher, ivSecret: Buffer.from(hkdfSync('sha256', bytes, '', 'shunt initialization vector', 32)) }
}
