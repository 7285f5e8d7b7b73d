import type { StepFeedback } from '#lib/events/types.generated'

/** A verdict as a caller gives it: whose answer, and whether it was right. */
export interface FeedbackInput {
  tenantId: string
  stepId: string
  /** The step's own, as its result names it: the Kafka key. */
  taskId: string
  verdict: 'right' | 'wrong'
  /** The caller's own code for what was wrong. */
  code?: string | null
  /** Who judged. */
  actor?: string | null
  /** Epoch ms. @default now */
  atMs?: number
}

export function completeFeedback(input: FeedbackInput, nowMs: number): StepFeedback {
  const { tenantId, stepId, taskId, verdict, code = null, actor = null, atMs = nowMs } = input
  return { stepId, taskId, tenantId, verdict, code, actor, atMs }
}
