import { ShuntError } from '#lib/errors'
import { inNamespace } from './topics.ts'

const namespaceForm = /^[a-z0-9][a-z0-9-]{0,40}$/
const replayForm = /^(?:[a-z0-9][a-z0-9-]{0,40}\.)?replay-[a-z0-9][a-z0-9-]{0,30}$/
const replayIdForm = /^[a-z0-9][a-z0-9-]{0,30}$/

/** Empty, a name, or a replay of what such a name holds: no other namespace lies within another. */
export function isNamespace(namespace: string): boolean {
  if (namespace === '') return true
  return namespace.includes('.') ? replayForm.test(namespace) : namespaceForm.test(namespace)
}

export function isReplay(namespace: string): boolean {
  return replayForm.test(namespace)
}

/**
 * `replay-ID`, after the namespace that is replayed where that has a name: `staging.replay-ID`. So one prefix in Kafka's
 * access rules, `staging.replay-` or `replay-`, is all replays and nothing else, and no live name begins with it. Throws
 * SHUNT_CONFIG_INVALID for an id that makes no name, and for a replay of a replay.
 */
export function replayNamespace(live: string, id: string): string {
  if (!replayIdForm.test(id))
    throw new ShuntError('SHUNT_CONFIG_INVALID', `--id ${id}: use a-z, 0-9 and -, at most 31 characters`)
  if (isReplay(live))
    throw new ShuntError('SHUNT_CONFIG_INVALID', `SHUNT_NAMESPACE=${live} is a replay: replay what it replays`)
  return inNamespace(live, `replay-${id}`)
}
