import { hash } from 'node:crypto'
import { canonicalJson } from './canonical-json.ts'

/**
 * sha256, hex, over the canonical JSON of the file's data as given. Comments, order of keys and layout do not count.
 *
 * Why before defaults are filled in? Two releases of Shunt that know different optional keys would otherwise give the
 * same file two hashes, and the replicas of a rolling update would not agree on which policy is in force. The canonical
 * JSON is also exactly what agent.policies keeps, so that `sha256sum` over it confirms the hash.
 */
export function policyHash(data: unknown): string {
  return hash('sha256', canonicalJson(data), 'hex')
}
