import { hash } from 'node:crypto'
import { createChain } from '#lib/audit/chain'
import { createFindings } from '#lib/audit/findings'
import type { AuditEntry, ResultEntry } from '#lib/audit/source'
import { verifyLog, type VerifyLogOptions } from '#lib/audit/verify-log'
import { requeueOrderName, requeueOrderValue } from '#lib/dead-letters/requeue-orders'
import type { DecisionRecord, PolicyRecord, StepOrigin, StepStatus } from '#lib/events/types.generated'
import { decide, engineVersion } from '#lib/routing/decide'
import type { AuditDraft } from '#lib/stream/types'
import { entryOf } from './chain-log.ts'
import { localCodec } from './local-codec.ts'
import { memorySource, type MemoryLog } from './memory-source.ts'
import { makeFacts, makePolicy, makeSnapshot } from '../lib/routing/make-facts.ts'

/** Logs of numbered steps, record by record: each came an hour after the one before. */

export const codec = await localCodec()
export const tenantId = makeFacts().tenantId
export const startMs = Date.UTC(2026, 0, 1)
export const hourMs = 3_600_000
const outcome = decide(makeFacts(), makeSnapshot(), makePolicy())

const policyContent = Buffer.from('{"models":[]}')
export const policyHash = hash('sha256', policyContent, 'buffer')
export const policy: PolicyRecord = {
  hash: policyHash.toString('hex'),
  type: 'policy',
  part: 0,
  parts: 1,
  content: policyContent,
}

export const originOf = (step: number): StepOrigin => ({
  topic: 'agent.steps',
  partition: 0,
  offset: step,
  receivedAtMs: startMs + step * hourMs,
})
const idsOf = (step: number) => ({ stepId: `step-${step}`, taskId: 'task', tenantId, origin: originOf(step) })

export function decision(step: number, attempt = 1, change: Partial<DecisionRecord> = {}): AuditDraft {
  const { tenantId: _tenant, ...ids } = idsOf(step)
  const body = codec.encode('decision-record', {
    ...ids,
    contentHash: Buffer.alloc(32, 1),
    attempt,
    engineVersion,
    policyHash,
    scorerHash: null,
    facts: makeFacts(),
    snapshot: makeSnapshot(),
    outcome,
    reservedAtMs: 0,
    taskCapMicroUsd: null,
    reservationRounds: 0,
    budgetWaitMs: 0,
    troubledTools: [],
    ...change,
  })
  return { type: 'decision', body }
}

export function attempt(step: number, number = 1, { callNo = 1, costMicroUsd = 5 } = {}): AuditDraft {
  const body = codec.encode('attempt-record', {
    ...idsOf(step),
    attempt: {
      attempt: number,
      callNo,
      tier: 'oss',
      model: 'm',
      backend: 'b',
      region: 'r',
      verdict: 'ok',
      detail: null,
      startedAtMs: 1,
      endedAtMs: 2,
      promptTokens: 1,
      completionTokens: 1,
      costMicroUsd,
      outcomeUnknown: false,
      standIn: false,
      confidencePpm: null,
      answer: null,
      answerTruncated: false,
    },
    answerHash: null,
    ends: true,
    boundMicroUsd: 0,
    reservedAtMs: 0,
    kind: 'extraction',
    tools: [],
  })
  return { type: 'attempt', body }
}

export interface End {
  status?: StepStatus
  attempts?: number
  costMicroUsd?: number
}

export function end(
  step: number,
  { status = 'completed', attempts = 1, costMicroUsd = 5 * attempts }: End = {},
): AuditDraft {
  const body = codec.encode('outcome-record', {
    ...idsOf(step),
    status,
    code: null,
    attempts,
    costMicroUsd,
    finishedAtMs: 1,
  })
  return { type: 'outcome', body }
}

export function duplicate(step: number): AuditDraft {
  const body = codec.encode('duplicate-record', {
    ...idsOf(step),
    first: 'agent.steps/0/0',
    contentHash: Buffer.alloc(32),
  })
  return { type: 'duplicate', body }
}

export function requeue(step: number): AuditDraft {
  const { stepId, origin } = idsOf(step)
  const letter = { place: { topic: 'agent.deadletter', partition: 0, offset: step }, code: 'SHUNT_EVENT_UNDECODABLE' }
  const order = {
    name: requeueOrderName({ origin: { topic: 'agent.steps.oss', partition: 0, offset: step, timestampMs: 0 } }),
    orderId: 'o',
    actor: 'a',
    reason: 'r',
    atMs: 1,
    value: requeueOrderValue(letter, 'agent.steps.reroute', { tenantId, stepId, origin }),
  }
  return { type: 'operator', body: codec.encode('operator-record', { order, offset: 1 }) }
}

/** Each draft is of the step whose number is with it, and was written an hour after it came. */
export function auditOf(...drafts: [step: number, draft: AuditDraft][]): AuditEntry[] {
  const chain = createChain({ topic: 'agent.audit', encode: (link) => codec.encode('audit-record', link) })
  const { records } = chain.seal(
    'group/topic/0',
    null,
    drafts.map(([, draft]) => draft),
  )
  return records.map(({ value }, offset) =>
    entryOf({ partition: 0, offset, timestampMs: startMs + (drafts[offset]![0] + 1) * hourMs, value: value! }),
  )
}

export function result(
  step: number,
  { status = 'completed', attempts = 1, costMicroUsd = 5 * attempts }: End = {},
  offset = step,
): ResultEntry {
  return {
    topic: 'agent.results',
    partition: 0,
    offset,
    timestampMs: startMs + (step + 1) * hourMs,
    ...idsOf(step),
    status,
    code: null,
    attempts,
    costMicroUsd,
    finishedAtMs: 1,
  }
}

export const whole = (step: number): [number, AuditDraft][] => [
  [step, decision(step)],
  [step, attempt(step)],
  [step, end(step)],
]

export async function verify(log: MemoryLog, options: Partial<VerifyLogOptions> = {}) {
  const findings = createFindings(100)
  const source = await memorySource({ policies: [policy], ...log })
  const nowMs = () => startMs + 1_000 * hourMs
  const summary = await verifyLog(source, { nowMs, report: findings.report, laneWaitMs: 0, ...options })
  return { ...summary, findings: findings.kept, codes: findings.kept.map(({ code }) => code), first: findings.first() }
}
