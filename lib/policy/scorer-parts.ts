import { hash as hashOf } from 'node:crypto'
import { ShuntError } from '#lib/errors'
import type { PolicyRecord } from '#lib/events/types.generated'

/** A trained scorer as its files and agent.policies hold it. */
export interface ScorerBytes {
  /** sha256 over `bytes`, hex. */
  hash: string
  bytes: Buffer
}

/** A record of agent.policies is at most 1 MiB, with room for its envelope. */
const partBytes = 900_000

/** No scorer is larger: it has to be read by every classifier at its start. A record that claims more is passed over. */
const mostParts = 64

export function scorerBytes(bytes: Buffer): ScorerBytes {
  return { hash: hashOf('sha256', bytes, 'hex'), bytes }
}

/** Key of a part in agent.policies, where compaction keeps the last record of each key. */
export function partKey({ hash, part }: Pick<PolicyRecord, 'hash' | 'part'>): string {
  return `${hash}/${part}`
}

/** The records of agent.policies that hold a scorer. Throws SHUNT_SCORER_INVALID for one that is too large. */
export function splitScorer({ hash, bytes }: ScorerBytes): PolicyRecord[] {
  const parts = Math.max(1, Math.ceil(bytes.length / partBytes))
  if (parts > mostParts)
    throw new ShuntError(
      'SHUNT_SCORER_INVALID',
      `a scorer of ${bytes.length} bytes, of which agent.policies takes ${mostParts * partBytes}: calibrate it anew, which makes one of a few megabytes`,
    )
  return Array.from({ length: parts }, (_, part) => ({
    hash,
    type: 'scorer',
    part,
    parts,
    content: bytes.subarray(part * partBytes, (part + 1) * partBytes),
  }))
}

/** What a part led to: parts are still missing, the scorer is whole, or all are there and do not give its hash. */
export type Assembled = 'incomplete' | 'whole' | 'damaged' | 'malformed'

/** Scorers that come in parts, in any order, repeated, several at once. */
export interface ScorerAssembly {
  add(record: PolicyRecord): Assembled
  /** Undefined while it is not whole. */
  bytesOf(hash: string): Buffer | undefined
}

/**
 * The last part that came under a key counts, as it does after compaction; so a scorer with a damaged part is whole as
 * soon as it is published again. Nobody believes a part before the whole has the hash that it is filed under.
 */
export function createScorerAssembly(): ScorerAssembly {
  const whole = new Map<string, Buffer>()
  const pending = new Map<string, (Buffer | undefined)[]>()

  return {
    bytesOf: (hash) => whole.get(hash),
    add({ hash, part, parts, content }) {
      if (parts < 1 || parts > mostParts || part < 0 || part >= parts) return 'malformed'
      if (whole.has(hash)) return 'whole'
      // Another release may cut the same scorer into other parts: what is cut otherwise starts anew.
      let found = pending.get(hash)
      if (found?.length !== parts) pending.set(hash, (found = Array.from({ length: parts })))
      found[part] = content
      if (!found.every((each) => each !== undefined)) return 'incomplete'
      const bytes = Buffer.concat(found)
      if (hashOf('sha256', bytes, 'hex') !== hash) return 'damaged'
      pending.delete(hash)
      whole.set(hash, bytes)
      return 'whole'
    },
  }
}
