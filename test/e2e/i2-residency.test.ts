import { afterAll, beforeAll, beforeEach, expect, inject, onTestFailed, test } from 'vitest'
import { startPipeline, type Pipeline } from '../support/pipeline.ts'
import { weakMark } from '../support/pipeline-models.ts'
import { makeStep, tenantId } from '../support/pipeline-steps.ts'

let pipeline: Pipeline
let failed = false
beforeAll(async () => {
  pipeline = await startPipeline({ stack: inject('stack') })
  const { oss, frontier } = pipeline.models
  const key = { apiKeyEnv: 'SIMULATOR_KEY' }
  await pipeline.activatePolicy({
    backends: oss.map(({ url }, i) => ({ id: `eu-${i}`, model: 'open', baseUrl: `${url}/v1`, region: 'eu', ...key })),
    providers: [{ id: 'us', api: 'openai', models: ['frontier'], baseUrl: `${frontier.url}/v1`, region: 'us', ...key }],
    tenants: [{ id: tenantId }, { id: 'globex', allowedRegions: ['eu'] }],
  })
  await pipeline.untilIdle()
})
beforeEach(() => onTestFailed(() => void (failed = true)))
afterAll(() => pipeline?.stopAll({ failed }))

test('I2: a provider in a region that step or tenant forbids receives no request, by rule, by score or by re-route', async () => {
  const { frontier } = pipeline.models
  const inEurope = { allowedRegions: ['eu'], requiredTags: [], frontierAllowed: true, critical: [] }
  const restricted = [
    // A rule sends them to the frontier; a weak answer would.
    makeStep('tenant-rule', { tenantId: 'globex', kind: 'reasoning' }),
    makeStep('tenant-weak', { tenantId: 'globex', says: weakMark }),
    makeStep('step-rule', { kind: 'reasoning', constraints: inEurope }),
    makeStep('step-weak', { constraints: inEurope, says: weakMark }),
  ]
  const free = makeStep('free', { kind: 'reasoning' })
  const results = await Promise.all(
    [...restricted, free].map((step) => pipeline.client.ask(step, { timeoutMs: 90_000 })),
  )
  expect(results.map(({ tier }) => tier).slice(0, 4)).not.toContain('frontier')
  expect(results.at(-1)).toMatchObject({ status: 'completed', tier: 'frontier' })
  expect(frontier.arrivals).toHaveLength(1)
  for (const { stepId } of restricted) expect(JSON.stringify(frontier.arrivals)).not.toContain(`step ${stepId} `)
  for (const { attempts } of results.slice(0, 4))
    for (const { region } of attempts) expect(['eu', '']).toContain(region)
})
