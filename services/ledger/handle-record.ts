import { isRetryable, ShuntError } from '#lib/errors'
import { operatorDraft, policyActivatedDraft } from '#lib/audit/records'
import type { Codec } from '#lib/events/codec'
import { outOfNamespace, type Topic } from '#lib/events/topics'
import type { ControlOrder } from '#lib/events/types.generated'
import type { BudgetOrder } from '#lib/ledger/budget-order'
import { readBudgetOrder } from '#lib/ledger/budget-order'
import type { Fold } from '#lib/ledger/fold'
import { foldAuditRecord, foldFeedback, type FoldedRecord } from '#lib/ledger/fold-record'
import { ledgerLost } from '#lib/ledger/ledger-lost'
import type { LedgerState } from '#lib/ledger/ledger-state'
import { placeOf } from '#lib/ledger/rebuild'
import { readPolicyOrder } from '#lib/policy/policy-order'
import type { AuditDraft, Handle, InboundRecord } from '#lib/stream/types'

export interface LedgerHandleDeps {
  codec: Codec
  namespace: string
  fold: Fold
  state: Pick<LedgerState, 'isStranger' | 'note'>
  setCap: (order: BudgetOrder) => Promise<void>
  /** Told of each record that is folded. */
  folded: (record: InboundRecord) => void
  /** Told of what an attempt settled above its bound: it must be seen, and never happens by design. */
  overSettled: (record: FoldedRecord) => void
  /** Told of a record that the ledger cannot read. */
  unreadable: (record: InboundRecord, error: unknown) => void
}

/**
 * A record of agent.audit or agent.feedback into Redis; an order of agent.control into the audit, and a cap among them into
 * Redis too. What callers and operators wrote and nobody can read is rejected. What the audit holds was written by
 * services: there it is told of and passed over.
 */
export function createLedgerHandle(deps: LedgerHandleDeps): Handle {
  return async (record) => {
    const topic = outOfNamespace(deps.namespace, record.topic)
    if (topic === 'agent.control') return recordOrder(deps, record)
    try {
      const folded = topic === undefined ? null : await foldRecord(deps, topic, record)
      if (folded) await settle(deps, folded)
    } catch (error) {
      if (topic !== 'agent.audit' || isRetryable(error) || !(error instanceof ShuntError)) throw error
      deps.unreadable(record, error)
    }
    if (topic !== undefined) await deps.state.note(placeOf(topic, record), record.offset)
    deps.folded(record)
    return { records: [] }
  }
}

async function foldRecord(deps: LedgerHandleDeps, topic: Topic, record: InboundRecord): Promise<FoldedRecord | null> {
  const at = { place: placeOf(topic, record), offset: record.offset }
  if (topic === 'agent.feedback') return foldFeedback(deps.fold, deps.codec, record, at)
  return foldAuditRecord(deps.fold, deps.codec, await deps.codec.decode('audit-record', record.value), at)
}

/** A tenant that no policy ever knew was refused each time: there is nothing to lose. */
async function settle(deps: LedgerHandleDeps, folded: FoldedRecord): Promise<void> {
  if (folded.state === 'lost' && !(await deps.state.isStranger(folded.tenantId))) throw ledgerLost(folded.tenantId)
  if (folded.overMicroUsd > 0) deps.overSettled(folded)
}

async function recordOrder(deps: LedgerHandleDeps, record: InboundRecord) {
  const order = await deps.codec.decode('control-order', record.value)
  const cap = readBudgetOrder(order)
  if (cap) await deps.setCap(cap)
  return { records: [], audit: [orderDraft(deps, order, record.offset)] }
}

/** An order for a policy that names none puts none in force, and is an order all the same. */
function orderDraft({ codec }: LedgerHandleDeps, order: ControlOrder, offset: number): AuditDraft {
  const policyHash = readPolicyOrder(order)
  if (policyHash === null) return operatorDraft(codec, { order, offset })
  return policyActivatedDraft(codec, { order, offset, policyHash: Buffer.from(policyHash, 'hex') })
}
