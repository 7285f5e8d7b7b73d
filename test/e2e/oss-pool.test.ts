import { afterEach, expect, inject, onTestFinished, test } from 'vitest'
import { startPipeline, type Pipeline, type PipelineOptions } from '../support/pipeline.ts'
import { weakMark } from '../support/pipeline-models.ts'
import { makeStep, tenantId } from '../support/pipeline-steps.ts'
import { waitUntil } from '../support/wait-until.ts'

let pipeline: Pipeline
async function start(options: Omit<PipelineOptions, 'stack'>): Promise<Pipeline> {
  pipeline = await startPipeline({ stack: inject('stack'), partitions: 2, ...options })
  const started = pipeline
  onTestFinished(({ task }) => started.stopAll({ failed: task.result?.state === 'fail' }))
  return started
}

async function resultsOf(steps: ReturnType<typeof makeStep>[]) {
  await Promise.all(steps.map((step) => pipeline.client.publish(step)))
  await pipeline.untilResults(steps.length, 60_000)
  await pipeline.untilIdle()
  return new Map((await pipeline.collectResults()).map((result) => [result.stepId, result]))
}

test('a good answer is the one result, a weak one goes back with its attempt and is decided again', async () => {
  const { models } = await start({})
  const results = await resultsOf([makeStep('good'), makeStep('weak', { says: weakMark })])
  expect(results.get('good')).toMatchObject({ status: 'completed', tier: 'oss', model: 'open', standIn: false })
  expect(results.get('weak')).toMatchObject({ status: 'completed', tier: 'frontier', model: 'frontier' })
  expect(results.get('weak')?.attempts).toMatchObject([
    { attempt: 1, tier: 'oss', verdict: 'truncated', answer: null },
    { attempt: 2, tier: 'frontier', verdict: 'ok' },
  ])
  expect(results.get('weak')!.costMicroUsd).toBeGreaterThan(0)
  const rerouted = await Promise.all(
    pipeline.read('agent.steps.reroute').map(({ value }) => pipeline.codec.decode('routed-step', value)),
  )
  expect(rerouted.map(({ attempts }) => attempts.map(({ answer }) => answer))).toEqual([
    [expect.stringContaining('cut o')],
  ])
  expect(models.callsOf('good')).toBe(1)
  await pipeline.expectAudit()
})

test('an answer that does not fit its schema is decided again; one whose schema is none counts, and says so', async () => {
  const pay = (parameters: Record<string, unknown>) => ({
    messages: [{ role: 'user', content: 'pay' }],
    tools: [{ type: 'function', function: { name: 'pay', parameters } }],
  })
  const amount = { type: 'object', required: ['amount'], properties: { amount: { type: 'number' } } }
  const hostile = { properties: { amount: { pattern: '^(a+)+$' } } }
  const toolCalls = [{ name: 'pay', arguments: `{"amount":"${'a'.repeat(60)}!"}` }]
  await start({ oss: [{ reply: () => ({ toolCalls }) }] })
  const results = await resultsOf([
    makeStep('unfit', { request: pay(amount) }),
    makeStep('no-schema', { request: pay({ type: 'dict' }) }),
    makeStep('hostile', { request: pay(hostile) }),
  ])
  expect(results.get('unfit')).toMatchObject({
    status: 'completed',
    tier: 'frontier',
    attempts: [{ verdict: 'arguments_invalid', detail: expect.stringContaining('#/properties/amount/type') }, {}],
  })
  for (const [stepId, verdict] of Object.entries({ 'no-schema': 'schema_unusable', hostile: 'verification_timeout' }))
    expect(results.get(stepId)).toMatchObject({ status: 'completed', tier: 'oss', attempts: [{ verdict }] })
  await pipeline.expectAudit()
})

test('an answer that the model was unsure of is decided again, and log-probabilities stay here', async () => {
  const { models } = await start({
    policy: { verification: { perKind: { routing: { minConfidencePpm: 600_000 } } } },
    oss: [
      {
        reply: ({ messages }) => ({
          content: 'left',
          probability: JSON.stringify(messages).includes('unsure') ? 0.5 : 0.7,
        }),
      },
    ],
  })
  const results = await resultsOf([
    makeStep('sure', { kind: 'routing' }),
    makeStep('unsure', { kind: 'routing' }),
    makeStep('unsure-too', { kind: 'extraction' }),
  ])
  expect(results.get('sure')).toMatchObject({ tier: 'oss', attempts: [{ verdict: 'ok', confidencePpm: 700_000 }] })
  expect(results.get('unsure')).toMatchObject({
    tier: 'frontier',
    attempts: [{ verdict: 'low_confidence_answer', confidencePpm: 500_000 }, { confidencePpm: null }],
  })
  expect(results.get('unsure-too')).toMatchObject({ tier: 'oss', attempts: [{ verdict: 'ok', confidencePpm: null }] })
  expect(JSON.parse(results.get('sure')!.answer!)).toMatchObject({ choices: [{ logprobs: null }] })
  expect(models.frontier.arrivals.map(({ body }) => (body as { logprobs?: boolean }).logprobs)).toEqual([undefined])
})

test('a backend that fails is left for another, ejected, and costs no step its result', async () => {
  const { models } = await start({ oss: [{ serverErrorPpm: 1_000_000 }, { latencyMs: 10 }] })
  const results = await resultsOf(Array.from({ length: 30 }, (_, i) => makeStep(`s${i}`)))
  for (const result of results.values()) expect(result).toMatchObject({ status: 'completed', backend: 'backend-1' })
  expect(models.oss[0]!.arrivals.length).toBeLessThan(30)
  expect(models.frontier.arrivals).toHaveLength(0)
})

test('a model whose backends are all away is decided again after the wait', async () => {
  const { models } = await start({ policy: { limits: { backendWaitMs: 500 } } })
  await Promise.all(models.oss.map((backend) => backend.stop()))
  const results = await resultsOf([makeStep('lonely')])
  expect(results.get('lonely')).toMatchObject({ status: 'completed', tier: 'frontier' })
  expect(results.get('lonely')?.attempts[0]).toMatchObject({ verdict: 'backend_unavailable', costMicroUsd: 0 })
})

test('a step whose deadline passes during the call expires, and its call is told as one of unknown outcome', async () => {
  await start({ oss: [{ latencyMs: 30_000 }] })
  const results = await resultsOf([makeStep('late', { deadlineAtMs: Date.now() + 3_000 })])
  expect(results.get('late')).toMatchObject({ status: 'expired', code: 'SHUNT_DEADLINE_PASSED' })
  await pipeline.expectAudit()
})

test('I2: a backend in a forbidden region receives no request, not even of steps that were waiting for a slot when the policy changed', async () => {
  const backends = (regions: [string, string]) =>
    regions.map((region, i) => ({
      id: `backend-${i}`,
      model: 'open',
      baseUrl: `${pipeline.models.oss[i]!.url}/v1`,
      apiKeyEnv: 'SIMULATOR_KEY',
      region,
      maxInFlight: 1,
    }))
  const { models } = await start({ oss: [{ latencyMs: 400 }, { latencyMs: 400 }] })
  const tenants = [{ id: tenantId, allowedRegions: ['eu'] }]
  await pipeline.activatePolicy({ tenants, backends: backends(['eu', 'us']) })
  await untilInForce()
  const before = models.oss[1]!.arrivals.length
  await resultsOf(Array.from({ length: 6 }, (_, i) => makeStep(`eu${i}`)))
  expect(models.oss[1]!.arrivals).toHaveLength(before)

  // Both may be called, each has one slot, and many wait.
  await pipeline.activatePolicy({ tenants, backends: backends(['eu', 'eu']) })
  await untilInForce()
  const steps = Array.from({ length: 20 }, (_, i) => makeStep(`q${i}`))
  await Promise.all(steps.map((step) => pipeline.client.publish(step)))
  await pipeline.untilResults(10, 60_000)
  await pipeline.activatePolicy({ tenants, backends: backends(['eu', 'us']) })
  await untilInForce()
  const atChange = models.oss[1]!.arrivals.length
  // Steps that arrived under the old policy are still waiting.
  expect(models.calls()).toBeLessThan(6 + 20)
  await pipeline.untilResults(26, 60_000)
  expect(models.oss[1]!.arrivals).toHaveLength(atChange)
})

/** Every change is logged by the pool once it is in force. */
let changes = 0
afterEach(() => {
  changes = 0
})
async function untilInForce(): Promise<void> {
  changes++
  await waitUntil(
    () => pipeline.logOf('oss-pool', 0).split('backends of the policy').length - 1 >= changes + 1,
    'the pool to follow the policy',
  )
}
