import { inNamespace } from '#lib/events/topics'
import { deadLetters } from '#lib/stream/dead-letter'
import type { Reject } from '#lib/stream/types'

/** What the ledger cannot take ends as a dead letter: an order that is none, or a record that no fold survives. */
export function createLedgerReject(deps: { namespace: string; nowMs: () => number }): Reject {
  const topic = inNamespace(deps.namespace, 'agent.deadletter')
  return async (record, error) => ({ records: deadLetters(record, error, { topic, nowMs: deps.nowMs() }) })
}
