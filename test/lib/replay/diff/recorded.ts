import type { AuditEntry, FeedbackEntry } from '#lib/audit/source'
import type { AuditType, AttemptRecord, DecisionRecord, LedgerSnapshot, StepFacts } from '#lib/events/types.generated'
import { namedCaps } from '#lib/ledger/named-caps'
import { costMicroUsd } from '#lib/models/prices'
import type { CompiledPolicy } from '#lib/policy/compile-policy'
import type { LoadedPolicy } from '#lib/policy/load'
import { policyHash } from '#lib/policy/policy-hash'
import { decide, engineVersion } from '#lib/routing/decide'
import { localCodec } from '../../../support/local-codec.ts'
import { makeFacts, makeSnapshot } from '../../routing/make-facts.ts'

export interface StepSpec {
  stepId: string
  taskId?: string
  facts?: Partial<StepFacts>
  snapshot?: Partial<LedgerSnapshot>
  attempt?: number
  offset?: number
  /** Of the model's answer; null: no AttemptRecord. */
  call?: Partial<AttemptRecord['attempt']> | null
}

/** A decision that `policy` really makes, as the classifier records it, and the attempt that follows from it. */
export function recordStep(
  { policy, hash }: LoadedPolicy,
  spec: StepSpec,
): { decision: DecisionRecord; attempt: AttemptRecord | null } {
  const { stepId, taskId = 'task-1', attempt = 1, offset = hashOffset(stepId) } = spec
  const facts = makeFacts(spec.facts)
  const snapshot = makeSnapshot(spec.snapshot)
  const outcome = decide(facts, snapshot, policy)
  const origin = { topic: 'agent.steps', partition: 0, offset, receivedAtMs: facts.receivedAtMs }
  const tenant = policy.index.tenants.get(facts.tenantId)
  const decision: DecisionRecord = {
    stepId,
    taskId,
    origin,
    contentHash: Buffer.alloc(32, 1),
    attempt,
    engineVersion,
    policyHash: Buffer.from(hash, 'hex'),
    scorerHash: null,
    facts,
    snapshot,
    outcome,
    reservedAtMs: 0,
    taskCapMicroUsd: tenant ? namedCaps(facts, tenant).taskMicroUsd : null,
    reservationRounds: 0,
    budgetWaitMs: 0,
    troubledTools: [],
  }
  if (outcome.action !== 'route' || spec.call === null) return { decision, attempt: null }
  const { model } = policy.index.models.get(outcome.model!)!
  const [promptTokens, completionTokens] = [spec.call?.promptTokens ?? 100, spec.call?.completionTokens ?? 40]
  return {
    decision,
    attempt: {
      stepId,
      taskId,
      tenantId: facts.tenantId,
      attempt: {
        attempt,
        callNo: 1,
        tier: outcome.tier!,
        model: model.id,
        backend: 'b',
        region: 'eu',
        verdict: 'ok',
        detail: null,
        startedAtMs: snapshot.nowMs,
        endedAtMs: snapshot.nowMs + 10,
        promptTokens,
        completionTokens,
        costMicroUsd: costMicroUsd(model.price, promptTokens, completionTokens),
        outcomeUnknown: false,
        standIn: false,
        confidencePpm: null,
        answer: null,
        answerTruncated: false,
        ...spec.call,
      },
      answerHash: null,
      origin,
      ends: true,
      boundMicroUsd: 0,
      reservedAtMs: 0,
      kind: facts.kind,
      tools: [],
    },
  }
}

function hashOffset(stepId: string): number {
  return Number.parseInt(Buffer.from(stepId).toString('hex').slice(-10), 16)
}

/** Entries of agent.audit with these records. */
export async function entriesOf(
  records: readonly { decision: DecisionRecord; attempt: AttemptRecord | null }[],
  partitionOf: (index: number) => number = () => 0,
): Promise<AuditEntry[]> {
  const codec = await localCodec()
  return records.flatMap(({ decision, attempt }, index) => {
    const at = (type: AuditType, body: Buffer, offset: number): AuditEntry => ({
      topic: 'agent.audit',
      partition: partitionOf(index),
      offset,
      timestampMs: decision.snapshot.nowMs,
      record: { chainId: 'c', epoch: 1, seq: offset + 1, prevHash: Buffer.alloc(32), type, body },
      problem: null,
    })
    return [
      at('decision', codec.encode('decision-record', decision), 2 * index),
      ...(attempt ? [at('attempt', codec.encode('attempt-record', attempt), 2 * index + 1)] : []),
    ]
  })
}

export function verdictOn(
  { decision }: { decision: DecisionRecord },
  verdict: 'right' | 'wrong',
  index = 0,
): FeedbackEntry {
  const { stepId, taskId, facts, snapshot } = decision
  const atMs = snapshot.nowMs + 1_000
  return {
    topic: 'agent.feedback',
    partition: 0,
    offset: index,
    timestampMs: atMs,
    feedback: { stepId, taskId, tenantId: facts.tenantId, verdict, code: null, actor: null, atMs },
  }
}

/** A policy as if read from a file; the hash is of this test. */
export function loadedAs(policy: CompiledPolicy): LoadedPolicy {
  const content = JSON.stringify({ ...policy, index: undefined })
  return { policy, content, hash: policyHash(JSON.parse(content)) }
}
