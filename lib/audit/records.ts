import { hash } from 'node:crypto'
import type { Codec } from '#lib/events/codec'
import type {
  Attempt,
  DecisionRecord,
  DuplicateRecord,
  OperatorRecord,
  PolicyActivatedRecord,
  RoutedStep,
  StepOrigin,
  StepResult,
} from '#lib/events/types.generated'
import type { AuditDraft } from '#lib/stream/types'

/** Drafts of the records in agent.audit. None holds prompt or answer text: texts are present as their sha256. */

export function sha256(bytes: string | Buffer): Buffer {
  return hash('sha256', bytes, 'buffer')
}

export function decisionDraft(codec: Pick<Codec, 'encode'>, record: DecisionRecord): AuditDraft {
  return { type: 'decision', body: codec.encode('decision-record', record) }
}

/**
 * `attempt.answer`, where there is one, goes in as its hash alone. `ends` is false for an earlier call of the attempt: it
 * gives back the bound that it is charged at, and one that was turned away gives back none.
 */
export function attemptDraft(
  codec: Pick<Codec, 'encode'>,
  { step, origin, decision }: Pick<RoutedStep, 'step' | 'origin' | 'decision'>,
  attempt: Attempt,
  answered: { answer: string | null; tools: readonly string[]; ends: boolean },
): AuditDraft {
  const { answer, tools, ends } = answered
  const isSettled = (ends || attempt.outcomeUnknown) && decision.reservedAtMs > 0
  const body = codec.encode('attempt-record', {
    stepId: step.stepId,
    taskId: step.taskId,
    tenantId: step.tenantId,
    attempt: { ...attempt, answer: null },
    answerHash: answer === null ? null : sha256(answer),
    origin,
    ends,
    boundMicroUsd: isSettled ? decision.boundMicroUsd : 0,
    reservedAtMs: decision.reservedAtMs,
    kind: step.kind,
    tools: [...tools],
  })
  return { type: 'attempt', body }
}

export function outcomeDraft(codec: Pick<Codec, 'encode'>, result: StepResult): AuditDraft {
  const body = codec.encode('outcome-record', {
    stepId: result.stepId,
    taskId: result.taskId,
    tenantId: result.tenantId,
    origin: result.origin,
    status: result.status,
    code: result.code,
    attempts: result.attempts.length,
    costMicroUsd: result.costMicroUsd,
    finishedAtMs: result.finishedAtMs,
  })
  return { type: 'outcome', body }
}

export function operatorDraft(codec: Pick<Codec, 'encode'>, record: OperatorRecord): AuditDraft {
  return { type: 'operator', body: codec.encode('operator-record', record) }
}

export function policyActivatedDraft(codec: Pick<Codec, 'encode'>, record: PolicyActivatedRecord): AuditDraft {
  return { type: 'policy_activated', body: codec.encode('policy-activated-record', record) }
}

export function duplicateDraft(codec: Pick<Codec, 'encode'>, record: DuplicateRecord): AuditDraft {
  return { type: 'duplicate', body: codec.encode('duplicate-record', record) }
}

/** `agent.steps/3/1041`: how a record is named in claims, logs and messages. */
export function formatOrigin(origin: Pick<StepOrigin, 'topic' | 'partition' | 'offset'>): string {
  return `${origin.topic}/${origin.partition}/${origin.offset}`
}
