import type { StepInput } from '#lib/client/step-input'
import { weakMark } from './pipeline-models.ts'

export const tenantId = 'acme'

/** A step whose prompt names it, so that a simulated model's arrivals can be told apart. */
export function makeStep(stepId: string, more: Partial<StepInput> & { says?: string } = {}): StepInput {
  const { says = '', ...rest } = more
  return {
    stepId,
    taskId: `task-${stepId}`,
    tenantId,
    kind: 'classification',
    request: { messages: [{ role: 'user', content: `step ${stepId} ${says}` }], max_tokens: 16 },
    ...rest,
  }
}

/**
 * A mixed load: every 5th step gets a weak answer first, every 7th goes to the frontier at once, every 4th is batch work;
 * four steps make a task.
 */
export function makeSteps(count: number, prefix: string): StepInput[] {
  return Array.from({ length: count }, (_, i) =>
    makeStep(`${prefix}-${i}`, {
      taskId: `${prefix}-task-${Math.floor(i / 4)}`,
      kind: i % 7 === 0 ? 'reasoning' : 'classification',
      priority: i % 4 === 0 ? 'batch' : 'interactive',
      says: i % 5 === 0 ? weakMark : '',
    }),
  )
}
