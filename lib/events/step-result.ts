import type { AgentStep, Attempt, Decision, StepOrigin, StepResult, StepStatus } from './types.generated.ts'

export interface StepEnd {
  status: Exclude<StepStatus, 'unknown'>
  /** Why it did not complete; null for a completed step. */
  code: string | null
  message: string | null
  /** chat.completion JSON text; for a failed step its best weak answer. */
  answer: string | null
  /** The attempt whose answer this is; null where none was made. */
  answeredBy: Attempt | null
  reasons: readonly string[]
  policyHash: string | null
  finishedAtMs: number
}

/** The one terminal record of a step. Cost is that of all its attempts; their answers are left out. */
export function buildStepResult(
  step: Pick<AgentStep, 'stepId' | 'taskId' | 'tenantId' | 'sequence' | 'batchId' | 'metadata'>,
  origin: StepOrigin,
  attempts: readonly Attempt[],
  end: StepEnd,
): StepResult {
  const by = end.answeredBy
  return {
    stepId: step.stepId,
    taskId: step.taskId,
    tenantId: step.tenantId,
    status: end.status,
    code: end.code,
    message: end.message,
    answer: end.answer,
    tier: by?.tier ?? null,
    model: by?.model ?? null,
    backend: by?.backend ?? null,
    standIn: by?.standIn ?? false,
    reasons: [...end.reasons],
    costMicroUsd: attempts.reduce((sum, attempt) => sum + attempt.costMicroUsd, 0),
    promptTokens: by?.promptTokens ?? 0,
    completionTokens: by?.completionTokens ?? 0,
    attempts: attempts.map((attempt) => ({ ...attempt, answer: null })),
    policyHash: end.policyHash,
    origin,
    sequence: step.sequence,
    batchId: step.batchId,
    metadata: step.metadata,
    finishedAtMs: end.finishedAtMs,
  }
}

/** The weak answer to hand back when a step fails: the last one of the frontier, else the last of all. */
export function bestWeakAnswer(attempts: readonly Attempt[]): Attempt | null {
  const answered = attempts.filter((attempt) => attempt.answer !== null)
  return answered.findLast((attempt) => attempt.tier === 'frontier') ?? answered.at(-1) ?? null
}

/** What a decision says of itself in a result. */
export function decidedBy(decision: Decision): Pick<StepEnd, 'reasons' | 'policyHash'> {
  return { reasons: decision.reasons, policyHash: decision.policyHash }
}
