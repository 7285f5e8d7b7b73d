import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '#lib/client/create-client'
import type { StepInput } from '#lib/client/step-input'
import { isRetryable } from '#lib/errors'
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

/** A load that goes on, so that faults meet work under way. A step that could not be published is published again. */
export async function publishSteadily(
  client: Pick<Client, 'publish'>,
  steps: readonly StepInput[],
  perSecond: number,
): Promise<void> {
  const startedAt = performance.now()
  const sent: Promise<unknown>[] = []
  for (const [index, step] of steps.entries()) {
    const dueMs = (index * 1_000) / perSecond - (performance.now() - startedAt)
    if (dueMs > 0) await sleep(dueMs)
    sent.push(untilPublished(client, step))
  }
  await Promise.all(sent)
}

async function untilPublished(client: Pick<Client, 'publish'>, step: StepInput): Promise<void> {
  for (;;)
    try {
      await client.publish(step)
      return
    } catch (error) {
      if (!isRetryable(error)) throw error
      await sleep(500)
    }
}
