import { inNamespace, outOfNamespace } from '#lib/events/topics'
import type { LedgerState } from '#lib/ledger/ledger-state'
import { placeOf } from '#lib/ledger/rebuild'
import { deadLetters } from '#lib/stream/dead-letter'
import type { Reject } from '#lib/stream/types'

export interface LedgerRejectDeps {
  namespace: string
  state: Pick<LedgerState, 'note'>
  nowMs: () => number
}

/** What the ledger cannot take ends as a dead letter: an order that is none, or a record that no fold survives. */
export function createLedgerReject(deps: LedgerRejectDeps): Reject {
  const deadLetterTopic = inNamespace(deps.namespace, 'agent.deadletter')
  return async (record, error) => {
    const topic = outOfNamespace(deps.namespace, record.topic)
    // Passed over, and no sign that Redis has rolled back.
    if (topic !== undefined && topic !== 'agent.control') await deps.state.note(placeOf(topic, record), record.offset)
    return { records: deadLetters(record, error, { topic: deadLetterTopic, nowMs: deps.nowMs() }) }
  }
}
