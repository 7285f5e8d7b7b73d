import { afterAll, beforeAll, beforeEach, expect, inject, onTestFailed, test } from 'vitest'
import type { StepInput } from '#lib/client/step-input'
import type { DecisionRecord } from '#lib/events/types.generated'
import { startPipeline, type Pipeline } from '../support/pipeline.ts'
import { makeStep, tenantId } from '../support/pipeline-steps.ts'

let pipeline: Pipeline
let failed = false
beforeAll(async () => {
  // By the score alone: an open model that is trusted unless something speaks against it.
  pipeline = await startPipeline({ stack: inject('stack'), policy: { rules: [], threshold: { pSuccessPpm: 1 } } })
})
beforeEach(() => onTestFailed(() => void (failed = true)))
afterAll(() => pipeline?.stopAll({ failed }))

const tool = (name: string) => ({
  type: 'function' as const,
  function: { name, description: `does ${name}`, parameters: { type: 'object', properties: {} } },
})

function stepWith(stepId: string, toolName: string, says = ''): StepInput {
  const content = `step ${stepId} ${says}`
  const request = { messages: [{ role: 'user' as const, content }], tools: [tool(toolName)], max_tokens: 16 }
  return makeStep(stepId, { kind: 'tool_call', request })
}

async function termsOf(step: StepInput): Promise<Record<string, number>> {
  await pipeline.client.ask(step, { timeoutMs: 60_000 })
  await pipeline.untilIdle()
  const links = await pipeline.collectAudit()
  const decision = links
    .filter(({ record }) => record.type === 'decision')
    .map(({ body }) => body as DecisionRecord)
    .find(({ stepId, attempt }) => stepId === step.stepId && attempt === 1)!
  return Object.fromEntries(decision.outcome.terms.map(({ name, ppm }) => [name, ppm]))
}

/** In a conversation: the tool has just failed. */
function afterFailure(stepId: string, toolName: string): StepInput {
  const call = { id: 'c1', type: 'function' as const, function: { name: toolName, arguments: '{}' } }
  const messages = [
    { role: 'user' as const, content: `step ${stepId} go on` },
    { role: 'assistant' as const, content: null, tool_calls: [call] },
    { role: 'tool' as const, tool_call_id: 'c1', content: 'Error: the service is down' },
  ]
  return makeStep(stepId, { kind: 'tool_call', request: { messages, tools: [tool(toolName)], max_tokens: 16 } })
}

test('a tool that fails makes later steps with it escalate sooner, and not those with another', async () => {
  expect(await termsOf(stepWith('calm', 'search'))).not.toHaveProperty('tool_failures')
  await termsOf(afterFailure('trouble-1', 'search'))
  await termsOf(afterFailure('trouble-2', 'search'))
  const { tool_failures: after } = await termsOf(stepWith('later', 'search'))
  expect(after).toBeGreaterThan(0)
  expect(await termsOf(stepWith('other', 'book'))).not.toHaveProperty('tool_failures')
})

test("a caller's verdict that an answer was wrong counts against its task and kind, and one that it was right lets it fade", async () => {
  const first = makeStep('judged', { taskId: 'task-judged' })
  await termsOf(first)
  const judge = async (verdict: 'right' | 'wrong', times: number) => {
    for (let n = 0; n < times; n++)
      await pipeline.client.feedback({ tenantId, stepId: 'judged', taskId: 'task-judged', verdict })
    await pipeline.untilIdle()
  }
  await judge('wrong', 3)
  const wrong = await termsOf(makeStep('judged-2', { taskId: 'task-judged' }))
  expect(wrong['task_failures']).toBeGreaterThan(0)
  await judge('right', 9)
  const right = await termsOf(makeStep('judged-3', { taskId: 'task-judged' }))
  expect(right['task_failures'] ?? 0).toBeLessThan(wrong['task_failures']!)
})
