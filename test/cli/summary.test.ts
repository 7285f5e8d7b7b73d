import { expect, test } from 'vitest'
import type { Attempt, StepResult } from '#lib/events/types.generated'
import type { PolicyModel } from '#lib/policy/schema'
import { formatSummary, summarise } from '../../cli/summary.ts'

function attempt(more: Partial<Attempt>): Attempt {
  return {
    attempt: 1,
    callNo: 1,
    tier: 'oss',
    model: 'small',
    backend: 'embedded',
    region: 'local',
    verdict: 'ok',
    detail: null,
    startedAtMs: 0,
    endedAtMs: 0,
    promptTokens: 100,
    completionTokens: 10,
    costMicroUsd: 0,
    outcomeUnknown: false,
    standIn: false,
    confidencePpm: null,
    answer: null,
    answerTruncated: false,
    ...more,
  }
}

function result(stepId: string, more: Partial<StepResult>): StepResult {
  return {
    stepId,
    taskId: stepId,
    tenantId: 'acme',
    status: 'completed',
    code: null,
    message: null,
    answer: '{}',
    tier: 'oss',
    model: 'small',
    backend: 'embedded',
    standIn: false,
    reasons: [],
    costMicroUsd: 0,
    promptTokens: 100,
    completionTokens: 10,
    attempts: [attempt({})],
    policyHash: null,
    origin: { topic: 'agent.steps', partition: 0, offset: 0, receivedAtMs: 1_000 },
    sequence: null,
    batchId: null,
    metadata: {},
    finishedAtMs: 1_100,
    ...more,
  }
}

function model(id: string, tier: 'oss' | 'frontier', microUsdPerMTok: number): PolicyModel {
  return {
    id,
    tier,
    price: { inputMicroUsdPerMTok: microUsdPerMTok, outputMicroUsdPerMTok: microUsdPerMTok },
  } as PolicyModel
}

const models = [model('small', 'oss', 0), model('big', 'frontier', 2_000_000), model('bigger', 'frontier', 9_000_000)]
const options = { models, elapsedMs: 12_345 }

/** A weak answer of the small model, then the big one's. */
const escalated = result('escalated', {
  tier: 'frontier',
  costMicroUsd: 240,
  reasons: ['prior_failure', 'low_confidence'],
  attempts: [
    attempt({ verdict: 'not_json' }),
    attempt({ attempt: 2, tier: 'frontier', model: 'big', promptTokens: 90, completionTokens: 30, costMicroUsd: 240 }),
  ],
})

test('steps count for the tier that completed them, attempts and tokens for the tier that made them', () => {
  const { tiers } = summarise([result('easy', {}), escalated], options)
  expect(tiers).toEqual([
    { tier: 'oss', steps: 1, attempts: 2, promptTokens: 200, completionTokens: 20, standIn: 0 },
    { tier: 'frontier', steps: 1, attempts: 1, promptTokens: 90, completionTokens: 30, standIn: 0 },
  ])
})

test('all-frontier is reckoned with the first frontier model and the tokens of the attempt nearest to it', () => {
  const { cost } = summarise([result('easy', {}), escalated], options)
  expect(cost).toEqual({
    spentMicroUsd: 240,
    standInMicroUsd: 0,
    // 110 tokens of the easy step and 120 of the escalated one, at 2 micro-USD each.
    allFrontierMicroUsd: 460,
    allFrontierModel: 'big',
  })
})

test("the stand-in's answers cost nothing, and what they would cost is told apart", () => {
  const byStandIn = result('stood in', {
    tier: 'frontier',
    standIn: true,
    attempts: [attempt({ tier: 'frontier', model: 'big', standIn: true })],
  })
  const summary = summarise([byStandIn], options)
  expect(summary.cost).toMatchObject({ spentMicroUsd: 0, standInMicroUsd: 220, allFrontierMicroUsd: 220 })
  const text = formatSummary(summary).join('\n')
  expect(text).toContain('1 by the STAND-IN: no model was called')
  expect(text).toContain("with a key the stand-in's answers would be $0.000220 at list price")
})

test('a policy without a frontier model has nothing to compare with', () => {
  const summary = summarise([result('easy', {})], { ...options, models: [model('small', 'oss', 0)] })
  expect(summary.cost.allFrontierMicroUsd).toBeNull()
  expect(formatSummary(summary).join('\n')).not.toContain('if all had gone')
})

test('statuses and reasons come most frequent first, each reason once a step', () => {
  const { statuses, reasons } = summarise(
    [
      result('a', { reasons: ['rule', 'rule'] }),
      result('b', { reasons: ['low_confidence', 'rule'] }),
      result('c', { status: 'refused', reasons: ['compliance'] }),
    ],
    options,
  )
  expect(statuses).toEqual([
    ['completed', 2],
    ['refused', 1],
  ])
  expect(reasons).toEqual([
    ['rule', 2],
    ['compliance', 1],
    ['low_confidence', 1],
  ])
})

test('latency is the nearest rank of record to result', () => {
  const results = Array.from({ length: 20 }, (_, i) => result(`s${i}`, { finishedAtMs: 1_000 + (i + 1) * 100 }))
  expect(summarise(results, options).latency).toEqual({ p50Ms: 1_000, p95Ms: 1_900 })
  expect(summarise([], options).latency).toBeNull()
})

test('what did not complete is named with its code, without characters that move a cursor', () => {
  const failed = result('s-1', { status: 'failed', code: 'SHUNT_BACKEND_TIMEOUT', message: 'no\u001b[2J answer' })
  const text = formatSummary(summarise([failed], options)).join('\n')
  expect(text).toContain('  acme/s-1  failed  SHUNT_BACKEND_TIMEOUT: no?[2J answer')
})

test('no results at all make a summary, too', () => {
  expect(formatSummary(summarise([], options))[0]).toBe('0 results in 12.3 s: none')
})
