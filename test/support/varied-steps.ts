import type { StepInput } from '#lib/client/step-input'
import type { StepKind } from '#lib/events/types.generated'
import { weakMark } from './pipeline-models.ts'

/** Of varied-policies.ts. */
const tenants = ['acme', 'globex', 'clinic', 'capped', 'acme', 'globex', 'capped'] as const
/** In 2020. */
const longAgoMs = 1_600_000_000_000

type Varied = Partial<Omit<StepInput, 'request'>> & { kind: StepKind; request?: object; says?: string }

const parameters = { type: 'object', properties: { id: { type: 'string' } }, required: ['id'] }
const tool = (name: string, description: string) => ({ type: 'function', function: { name, description, parameters } })
const lookAlikes = [
  tool('get_claim', 'Get a claim by its id.'),
  tool('fetch_claim', 'Fetch a claim by id.'),
  tool('read_claim', 'Read the claim with this id.'),
  tool('lookup_claim_record', 'Look up the record of a claim by its id.'),
]

/** A conversation in which the same call has failed again and again, with arguments that do not fit. */
function troubled(turns: number): object {
  const call = (id: string, argument: string) => ({
    role: 'assistant',
    content: null,
    tool_calls: [{ id, type: 'function', function: { name: 'get_claim', arguments: argument } }],
  })
  return {
    messages: [
      { role: 'user', content: 'Which policy covers the claim?' },
      ...Array.from({ length: turns }, (_, i) => [
        call(`call-${i}`, i % 2 === 0 ? '{"number":4711}' : '{"id":"4711"}'),
        { role: 'tool', tool_call_id: `call-${i}`, content: '{"error":"no claim has this id"}' },
      ]).flat(),
    ],
    tools: lookAlikes,
  }
}

/** One after the other, so that a decision of every kind is among a dozen. */
const kinds: ((n: number) => Varied)[] = [
  () => ({ kind: 'classification' }),
  () => ({ kind: 'extraction', request: { response_format: { type: 'json_object' } } }),
  () => ({ kind: 'reasoning' }),
  () => ({ kind: 'tool_call', request: { tools: lookAlikes } }),
  (n) => ({ kind: 'tool_call', request: troubled(1 + (n % 4)) }),
  () => ({ kind: 'classification', says: weakMark }),
  () => ({ kind: 'summarization', priority: 'batch', batchId: 'night' }),
  (n) => ({ kind: 'unknown', says: n % 2 === 0 ? 'Prove that the theorem holds.' : 'Which city is the capital?' }),
  (n) => ({ kind: 'generation', taskBudgetMicroUsd: 1_000 * (1 + (n % 5)), request: { max_tokens: 200 } }),
  () => ({ kind: 'reasoning', constraints: { allowedRegions: ['eu'], requiredTags: ['gdpr'] } }),
  () => ({ kind: 'reasoning', constraints: { frontierAllowed: false } }),
  (n) => ({ kind: 'routing', ...(n % 3 === 0 && { deadlineAtMs: longAgoMs }), request: { model: 'frontier-b' } }),
]

/**
 * Steps that lead to as many kinds of decisions as may be: each kind of step, tools that are alike, traces with failures,
 * answers that are too weak, constraints of steps and of tenants, deadlines that have passed, budgets that run out. Some
 * two dozen steps make a task.
 */
export function variedSteps(count: number, prefix: string): StepInput[] {
  return Array.from({ length: count }, (_, n) => {
    const stepId = `${prefix}-${n}`
    const turn = Math.floor(n / kinds.length)
    const { says = '', request, ...rest } = kinds[n % kinds.length]!(turn)
    const tenantId = tenants[turn % tenants.length]!
    const content = `step ${stepId} ${says}`
    return {
      stepId,
      tenantId,
      taskId: `${prefix}-${tenantId}-${Math.floor(n / 100)}`,
      request: { messages: [{ role: 'user', content }], max_tokens: 16, ...request },
      ...rest,
    }
  })
}
