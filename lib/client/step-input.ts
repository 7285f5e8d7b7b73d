import type { AgentStep, StepConstraints } from '#lib/events/types.generated'

type Required = 'stepId' | 'taskId' | 'tenantId'

/** A step as a caller writes it: the ids, the request, and what differs from the schema's defaults. */
export type StepInput = Pick<AgentStep, Required> & {
  /** OpenAI chat-completions request body, as an object or as JSON text. */
  request: object | string
  constraints?: Partial<StepConstraints>
} & Partial<Omit<AgentStep, Required | 'request' | 'constraints'>>

/** The whole record, with the defaults of schemas/step.avsc. */
export function completeStep(input: StepInput): AgentStep {
  return {
    stepId: input.stepId,
    taskId: input.taskId,
    tenantId: input.tenantId,
    sequence: input.sequence ?? null,
    kind: input.kind ?? 'unknown',
    request: typeof input.request === 'string' ? input.request : JSON.stringify(input.request),
    constraints: {
      allowedRegions: input.constraints?.allowedRegions ?? null,
      requiredTags: input.constraints?.requiredTags ?? [],
      frontierAllowed: input.constraints?.frontierAllowed ?? true,
      critical: input.constraints?.critical ?? [],
    },
    taskBudgetMicroUsd: input.taskBudgetMicroUsd ?? null,
    deadlineAtMs: input.deadlineAtMs ?? null,
    priority: input.priority ?? 'interactive',
    batchId: input.batchId ?? null,
    metadata: input.metadata ?? {},
  }
}
