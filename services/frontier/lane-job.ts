import { hash } from 'node:crypto'
import { formatOrigin } from '#lib/audit/records'
import type { ChatRequest } from '#lib/events/chat-request'
import type { AgentStep, RoutedStep } from '#lib/events/types.generated'
import { countImages } from '#lib/routing/message-text'
import { emptyCounts } from '#lib/routing/text-scan'
import { estimatePromptTokens } from '#lib/routing/token-estimate'
import type { ModelJob } from '#lib/worker/call-end'
import { heldAttemptOf, type HeldAttempt } from '#lib/worker/hold-calls'

/** What lies in a job of the queue: ids alone. The request lies under a key of its own. */
export interface QueuedIds {
  tenantId: string
  stepId: string
  taskId: string
  /** The step's own record: another one may bear the same stepId once the dedupe window is over. */
  origin: string
  attempt: number
}

/** What a worker in any replica needs for the call, and to ask again whether it may be made. */
export interface StoredRequest {
  /** Sealed where the step's own is (stored-texts.ts). */
  request: ChatRequest | string
  constraints: AgentStep['constraints']
  tenantId: string
  stepId: string
  /** Id in the policy. */
  model: string
  policyHash: string
  maxOutputTokens: number
  taskId: string
  batchId: string | null
  publishedAtMs: number
  /** What the ledger holds for it. */
  held: HeldAttempt
  /** Calls of the attempt that vanished with a Redis that was lost, and may have been billed. */
  vanishedCalls: number
  /** The most that its prompt can count. */
  promptTokensBound: number
  /** Null for none, as JSON has no Infinity: of a step whose record bears no time. */
  deadlineAtMs: number | null
}

export function idsOf({ step, origin, decision }: RoutedStep): QueuedIds {
  const { tenantId, stepId, taskId } = step
  return { tenantId, stepId, taskId, origin: formatOrigin(origin), attempt: decision.attempt }
}

/** A step's ids may hold ':' or be all digits, which BullMQ does not take: hence a hash behind a letter. */
export function jobIdOf({ tenantId, stepId, origin, attempt }: QueuedIds): string {
  return `a${hash('sha256', JSON.stringify([tenantId, stepId, origin, attempt])).slice(0, 40)}`
}

export function storedRequestOf(job: ModelJob, request: StoredRequest['request'], vanishedCalls = 0): StoredRequest {
  const { step, origin, decision } = job.routed
  return {
    request,
    constraints: step.constraints,
    tenantId: step.tenantId,
    stepId: step.stepId,
    model: job.model.id,
    policyHash: decision.policyHash,
    maxOutputTokens: decision.maxOutputTokens,
    taskId: step.taskId,
    batchId: step.batchId,
    publishedAtMs: origin.receivedAtMs,
    held: heldAttemptOf(job.routed),
    vanishedCalls,
    promptTokensBound: promptTokensBound(job.hinted, job.model.tokenMarginPpm),
    deadlineAtMs: Number.isFinite(job.deadlineAtMs) ? job.deadlineAtMs : null,
  }
}

/** As the decision's bound of cost is reckoned (lib/routing/candidates.ts). */
function promptTokensBound(request: ChatRequest, tokenMarginPpm: number): number {
  const images = request.messages.reduce((sum, message) => sum + countImages(message), 0)
  const tokens = estimatePromptTokens(request, images, emptyCounts(), emptyCounts())
  return Math.ceil((tokens * tokenMarginPpm) / 1_000_000)
}
