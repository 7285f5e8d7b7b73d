import { describe, expect, test } from 'vitest'
import { createOrdersInForce } from '#lib/control/orders-in-force'
import { ShuntError } from '#lib/errors'
import type { Attempt, DecisionOutcome } from '#lib/events/types.generated'
import { decide } from '#lib/routing/decide'
import { isSealed } from '#lib/erasure/sealed-text'
import { sealLike, sealPublished } from '#lib/erasure/step-texts'
import { createScoreStep } from '#lib/scoring/score-step'
import { createHandle, type HandleDeps } from '../../../services/classifier/handle-record.ts'
import { makeOrder } from '../../lib/control/make-order.ts'
import { memoryKeys } from '../../support/memory-keys.ts'
import { codec, makeStep, memoryBudgets, memoryClaims, nowMs, policy, read, recordOf, stepRecord } from './rig.ts'

const scoring = {
  scoreStep: createScoreStep({ fetch: () => Promise.reject(new Error('no scorer is asked here')), env: {} }),
  scored: () => {},
}

const signal = new AbortController().signal
const newOrders = () => createOrdersInForce({ nowMs: () => nowMs, log: { info() {}, error() {} } })
const stepLog = { concluded() {} }

function classifier(change: Partial<HandleDeps> = {}) {
  const decided: DecisionOutcome[] = []
  const orders = newOrders()
  const deps: HandleDeps = {
    codec,
    namespace: '',
    keys: null,
    resultsTopic: () => 'agent.results',
    claims: memoryClaims(),
    budgets: memoryBudgets(),
    ledgerLagMs: () => null,
    unreachableModels: () => [],
    policyInForce: () => policy,
    decided: (outcome) => void decided.push(outcome),
    ...scoring,
    orders,
    stepLog,
    nowMs: () => nowMs,
    ...change,
  }
  const handle = createHandle(deps)
  return {
    decided,
    deps,
    orders,
    handle: async (record: Parameters<typeof handle>[0]) => read(await handle(record, signal)),
  }
}

const weakAttempt: Attempt = {
  attempt: 1,
  callNo: 1,
  tier: 'oss',
  model: 'gemma-3-270m',
  backend: 'embedded',
  region: 'local',
  verdict: 'truncated',
  detail: null,
  startedAtMs: nowMs - 100,
  endedAtMs: nowMs - 50,
  promptTokens: 10,
  completionTokens: 2,
  costMicroUsd: 0,
  outcomeUnknown: false,
  standIn: false,
  confidencePpm: null,
  answer: '{"weak":true}',
  answerTruncated: false,
}

describe('a new step', () => {
  test('goes to a tier with its decision, whose audit record makes the same decision again', async () => {
    const { handle, decided } = classifier()
    const { topics, routed, audit, decisions } = await handle(stepRecord(makeStep()))
    expect(topics).toEqual(['agent.steps.oss'])
    expect(audit).toEqual(['decision'])
    expect(routed[0]).toMatchObject({
      step: { stepId: 's-1' },
      origin: { topic: 'agent.steps', partition: 2, offset: 41, receivedAtMs: nowMs - 5 },
      decision: { attempt: 1, tier: 'oss', policyHash: policy.hash, decidedAtMs: nowMs },
      attempts: [],
    })
    const { facts, snapshot, outcome } = decisions[0]!
    expect(decide(facts, snapshot, policy.policy)).toEqual(outcome)
    expect(decided).toEqual([outcome])
  })

  test('is taken as plain JSON too', async () => {
    const json = { ...makeStep(), request: JSON.parse(makeStep().request) }
    const { topics } = await classifier().handle(recordOf(Buffer.from(JSON.stringify(json))))
    expect(topics).toEqual(['agent.steps.oss'])
  })

  test('in the wrong twin is moved as it was published, and claims nothing', async () => {
    const { handle } = classifier()
    const step = makeStep({ priority: 'batch' })
    const moved = await handle(stepRecord(step))
    expect(moved).toMatchObject({ topics: ['agent.steps.batch'], audit: [], compressed: [true] })
    const decided = await handle(stepRecord(step, { topic: 'agent.steps.batch', offset: 3 }))
    expect(decided.topics).toEqual(['agent.steps.oss.batch'])
  })

  test('whose deadline has passed ends as expired before anything is spent', async () => {
    const { results, audit } = await classifier().handle(stepRecord(makeStep({ deadlineAtMs: nowMs - 1 })))
    expect(results).toMatchObject([{ status: 'expired', stepId: 's-1', costMicroUsd: 0, attempts: [] }])
    expect(audit).toEqual(['decision', 'outcome'])
  })

  test('that no model may take ends as refused', async () => {
    const constraints = { allowedRegions: ['mars'], requiredTags: [], frontierAllowed: true, critical: [] }
    const { results } = await classifier().handle(stepRecord(makeStep({ constraints })))
    expect(results).toMatchObject([{ status: 'refused', reasons: expect.arrayContaining(['residency']) }])
  })

  test('waits where no policy is in force', async () => {
    const handle = createHandle({ ...classifier().deps, policyInForce: () => undefined })
    await expect(handle(stepRecord(makeStep()), signal)).rejects.toMatchObject({
      code: 'SHUNT_POLICY_MISSING',
      retryable: true,
    })
  })
})

describe('a step that was published before', () => {
  test('and comes again from the same offset is decided again', async () => {
    const { handle } = classifier()
    const first = await handle(stepRecord(makeStep()))
    expect(await handle(stepRecord(makeStep()))).toEqual(first)
  })

  test('with the same content leaves a duplicate in the audit and nothing else', async () => {
    const { handle } = classifier()
    await handle(stepRecord(makeStep()))
    expect(await handle(stepRecord(makeStep(), { offset: 42 }))).toMatchObject({ topics: [], audit: ['duplicate'] })
  })

  test('with other content is an error that names the step', async () => {
    const { handle } = classifier()
    await handle(stepRecord(makeStep()))
    const other = stepRecord(makeStep({ sequence: 7 }), { offset: 42 })
    await expect(handle(other)).rejects.toMatchObject({
      code: 'SHUNT_STEP_ID_CONFLICT',
      ids: { tenantId: 'acme-claims', stepId: 's-1' },
    })
  })
})

describe('a step that comes back', () => {
  const reroute = (attempts: Attempt[]) => {
    const decision = {
      attempt: 1,
      tier: 'oss' as const,
      model: 'gemma-3-270m',
      reasons: [],
      pSuccessPpm: 1,
      gainPpm: null,
      thresholdPpm: 1,
      thresholdOn: 'p_success' as const,
      policyHash: policy.hash,
      scorerHash: null,
      engineVersion: 1,
      maxOutputTokens: 2,
      boundMicroUsd: 0,
      decidedAtMs: nowMs - 200,
      reservedAtMs: 0,
    }
    const origin = { topic: 'agent.steps', partition: 2, offset: 41, receivedAtMs: nowMs - 300 }
    const value = codec.encode('routed-step', { step: makeStep(), origin, decision, attempts })
    return recordOf(value, { topic: 'agent.steps.reroute', partition: 0, offset: 9 })
  }

  test('brings its attempt, which counts at once: the next decision is another model', async () => {
    const { topics, routed } = await classifier().handle(reroute([weakAttempt]))
    expect(topics).toEqual(['agent.steps.frontier'])
    expect(routed[0]).toMatchObject({
      decision: { attempt: 2, tier: 'frontier', reasons: expect.arrayContaining(['prior_failure']) },
      attempts: [{ verdict: 'truncated', answer: '{"weak":true}' }],
    })
  })

  test('I3: is bounded with the hint that a frontier model will get', async () => {
    const hinting = { ...policy, policy: { ...policy.policy, reroute: { hint: true } } }
    const answer = JSON.stringify({ choices: [{ message: { content: 'Is it? '.repeat(100) } }] })
    const decide = async (inForce: typeof policy) => {
      const handle = createHandle({ ...classifier().deps, policyInForce: () => inForce })
      const { routed, decisions } = await read(await handle(reroute([{ ...weakAttempt, answer }]), signal))
      return { tokens: decisions[0]!.facts.promptTokens, bound: routed[0]!.decision.boundMicroUsd }
    }
    const [plain, hinted] = [await decide(policy), await decide(hinting)]
    expect(hinted.tokens).toBeGreaterThan(plain.tokens + 200)
    expect(hinted.bound).toBeGreaterThan(plain.bound)
  })

  test('fails with its best weak answer once its attempts are used up', async () => {
    const frontier = { ...weakAttempt, tier: 'frontier' as const, model: 'gpt-5.6-terra', answer: '{"better":true}' }
    const attempts = [weakAttempt, { ...frontier, attempt: 2 }, { ...weakAttempt, attempt: 3 }]
    const { results, audit } = await classifier().handle(reroute(attempts))
    expect(results).toMatchObject([
      { status: 'failed', code: 'SHUNT_ATTEMPTS_EXHAUSTED', answer: '{"better":true}', tier: 'frontier' },
    ])
    expect(results[0]!.attempts.map((attempt) => attempt.answer)).toEqual([null, null, null])
    expect(audit).toEqual(['decision', 'outcome'])
  })
})

describe("an operator's order", () => {
  const order = (name: string, value?: string) => makeOrder(name, { atMs: nowMs - 1, ...(value && { value }) })

  test('to cancel ends a step once, undecided and claimed, with result and outcome', async () => {
    const { handle, orders, decided } = classifier()
    orders.take(order('cancel/task/acme-claims/t-1'))
    const { topics, results, audit } = await handle(stepRecord(makeStep()))
    expect([topics, audit, decided]).toEqual([['agent.results'], ['outcome'], []])
    expect(results).toMatchObject([
      { status: 'cancelled', code: 'SHUNT_CANCELLED', costMicroUsd: 0, attempts: [], policyHash: policy.hash },
    ])
    expect(await handle(stepRecord(makeStep(), { offset: 42 }))).toMatchObject({ topics: [], audit: ['duplicate'] })
  })

  test('to cancel leaves steps that are published later', async () => {
    const { handle, orders } = classifier()
    orders.take(order('cancel/tenant/acme-claims'))
    expect((await handle(stepRecord(makeStep(), { timestampMs: nowMs }))).topics).toEqual(['agent.steps.oss'])
  })

  test('to pause the tenant holds a step, until it is resumed', async () => {
    const { handle, orders } = classifier()
    orders.take(order('pause/tenant/acme-claims'))
    await expect(handle(stepRecord(makeStep()))).rejects.toMatchObject({ code: 'SHUNT_PAUSED', retryable: true })
    orders.take(order('pause/tenant/acme-claims', '{"paused":false}'))
    expect((await handle(stepRecord(makeStep()))).topics).toEqual(['agent.steps.oss'])
  })

  test('to pause the tenant lets a step expire', async () => {
    const { handle, orders } = classifier()
    orders.take(order('pause/tenant/acme-claims'))
    const { results } = await handle(stepRecord(makeStep({ deadlineAtMs: nowMs })))
    expect(results).toMatchObject([{ status: 'expired' }])
  })

  test('to pause frontier or model does not hold the decision: the step waits where it would be called', async () => {
    const { handle, orders } = classifier()
    for (const name of ['pause/frontier', 'pause/model/gemma-3-270m', 'pause/tenant/globex']) orders.take(order(name))
    expect((await handle(stepRecord(makeStep()))).topics).toEqual(['agent.steps.oss'])
  })
})

test("a record whose handling fails bears its step's ids, for the log", async () => {
  const { deps } = classifier()
  const ids = { tenantId: 'acme-claims', stepId: 's-1', taskId: 't-1' }
  const claims = { ...deps.claims, claim: () => Promise.reject(new Error('Redis is away')) }
  const unclaimed = stepRecord(makeStep())
  await expect(createHandle({ ...deps, claims })(unclaimed, signal)).rejects.toThrow('Redis is away')
  const invalid = stepRecord(makeStep({ request: '{}' }))
  await expect(createHandle(deps)(invalid, signal)).rejects.toThrow('messages')
  expect([unclaimed.ids, invalid.ids]).toEqual([ids, ids])
})

test('every error of a bad record is a Shunt error that no retry would help', async () => {
  const { handle } = classifier()
  const bad = [null, Buffer.alloc(0), Buffer.from('{"stepId":'), Buffer.from([0, 0, 0, 99, 99, 1]), Buffer.from('xyz')]
  for (const value of bad) {
    const error = await handle(recordOf(value)).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ShuntError)
    expect(error).toMatchObject({ retryable: false })
  }
})

describe('a sealed step', () => {
  test('is decided on its text, byte for byte as the plain one, and goes on sealed', async () => {
    const keys = await memoryKeys('acme-claims')
    const step = await sealPublished(keys, makeStep())
    const { routed, decisions } = await classifier({ keys }).handle(stepRecord(step))
    const plain = await classifier().handle(stepRecord(makeStep()))
    expect(routed[0]!.step).toEqual(step)
    const { contentHash, ...decision } = decisions[0]!
    const { contentHash: plainHash, ...plainDecision } = plain.decisions[0]!
    expect(decision).toEqual(plainDecision)
    expect(contentHash).not.toEqual(plainHash)
  })

  test('that is published again is a duplicate', async () => {
    const keys = await memoryKeys('acme-claims')
    const { handle } = classifier({ keys })
    await handle(stepRecord(await sealPublished(keys, makeStep())))
    const again = await handle(stepRecord(await sealPublished(keys, makeStep()), { offset: 42 }))
    expect(again).toMatchObject({ topics: [], audit: ['duplicate'] })
  })

  test('that was moved from another step is refused, and one whose key was deleted is', async () => {
    const keys = await memoryKeys('acme-claims')
    const step = await sealPublished(keys, makeStep())
    const { handle } = classifier({ keys })
    await expect(handle(stepRecord({ ...step, stepId: 's-2' }))).rejects.toMatchObject({
      code: 'SHUNT_TEXT_UNREADABLE',
      ids: { stepId: 's-2' },
    })
    keys.erase('acme-claims')
    await expect(handle(stepRecord(step))).rejects.toMatchObject({ code: 'SHUNT_TEXT_ERASED', ids: { stepId: 's-1' } })
  })

  test('that comes back has its weak answer opened for the bound of its hint, and hands it on sealed', async () => {
    const keys = await memoryKeys('acme-claims')
    const hinting = { ...policy, policy: { ...policy.policy, reroute: { hint: true } } }
    const weak = JSON.stringify({ choices: [{ message: { content: 'a weak answer of several words' } }] })
    const reroute = async (sealed: boolean) => {
      const step = sealed ? await sealPublished(keys, makeStep()) : makeStep()
      const answer = await sealLike(keys, step, 'answer', weak)
      const { handle } = classifier({ keys, policyInForce: () => hinting })
      const plain = await classifier().handle(stepRecord(makeStep()))
      const routed = { ...plain.routed[0]!, step, attempts: [{ ...weakAttempt, answer }] }
      const record = recordOf(codec.encode('routed-step', routed), { topic: 'agent.steps.reroute' })
      return { answer, ...(await handle(record)) }
    }
    const { answer, routed, decisions } = await reroute(true)
    expect(isSealed(answer)).toBe(true)
    expect(routed[0]!.attempts[0]!.answer).toBe(answer)
    expect(decisions[0]!.facts).toEqual((await reroute(false)).decisions[0]!.facts)
  })
})
