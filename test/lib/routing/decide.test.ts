import { describe, expect, test } from 'vitest'
import { decide } from '#lib/routing/decide'
import { failed, makeFacts, makePolicy, makeSnapshot, nowMs } from './make-facts.ts'

const policy = makePolicy()
const hard = { pSuccessPpm: 300_000 }

function answerTokens(change: object): number {
  return decide(makeFacts(change), makeSnapshot(), policy).maxOutputTokens
}

function expired(change: object): boolean {
  return decide(makeFacts(change), makeSnapshot(), policy).action === 'expire'
}

describe('by the score', () => {
  test('a step at the threshold goes to the first open model', () => {
    expect(decide(makeFacts({ pSuccessPpm: 500_000 }), makeSnapshot(), policy)).toEqual({
      action: 'route',
      code: null,
      tier: 'oss',
      model: 'oss-a',
      reasons: ['confident'],
      rule: null,
      thresholdPpm: 500_000,
      terms: [{ name: 'base', ppm: 500_000 }],
      removed: [],
      maxOutputTokens: 100,
      boundMicroUsd: 0,
      thresholdOn: 'p_success',
    })
  })

  test('a step below the threshold goes to the frontier, with the upper bound of its cost', () => {
    const outcome = decide(makeFacts({ pSuccessPpm: 499_999 }), makeSnapshot(), policy)
    expect(outcome).toMatchObject({ tier: 'frontier', model: 'frontier-a', reasons: ['low_confidence'] })
    // 100 prompt tokens with a margin of 1.15 at $1, and 100 answer tokens at $10 a million.
    expect(outcome.boundMicroUsd).toBe(115 + 1_000)
  })

  test('ambiguous tools, trouble in the trace and failures raise the threshold, each by a term of its own', () => {
    const facts = makeFacts({
      pSuccessPpm: 700_000,
      toolCount: 3,
      toolAmbiguityPpm: 400_000,
      traceTroublePpm: 800_000,
      priorAttempts: [failed('oss-a')],
    })
    const outcome = decide(facts, makeSnapshot(), policy)
    expect(outcome.terms).toEqual([
      { name: 'base', ppm: 500_000 },
      { name: 'prior_failures', ppm: 300_000 },
      { name: 'trace_trouble', ppm: 200_000 },
      { name: 'tool_ambiguity', ppm: 100_000 },
    ])
    expect(outcome.thresholdPpm).toBe(1_000_000)
    expect(outcome.reasons).toEqual(['prior_failure', 'trace_trouble', 'ambiguous_tools'])
  })

  test('a term that is too small to matter is recorded and gives no reason', () => {
    const outcome = decide(makeFacts({ ...hard, traceTroublePpm: 40_000 }), makeSnapshot(), policy)
    expect(outcome.terms).toContainEqual({ name: 'trace_trouble', ppm: 10_000 })
    expect(outcome.reasons).toEqual(['low_confidence'])
  })

  test('a small term that tipped the scales is a reason', () => {
    const outcome = decide(makeFacts({ pSuccessPpm: 505_000, traceTroublePpm: 40_000 }), makeSnapshot(), policy)
    expect(outcome.reasons).toEqual(['trace_trouble'])
  })
})

describe('hard constraints', () => {
  test("a tenant's floor keeps a step that nobody trusts the open model with on the open model", () => {
    const outcome = decide(makeFacts({ ...hard, tenantId: 'clinic' }), makeSnapshot(), policy)
    expect(outcome).toMatchObject({ action: 'route', tier: 'oss', model: 'oss-a' })
    expect(outcome.reasons).toEqual(['low_confidence', 'frontier_not_allowed'])
    expect(outcome.removed).toContainEqual({ model: 'oss-b', reason: 'residency' })
  })

  test('a model is left when one of its places is, and removed with the reason of the one that came furthest', () => {
    const tagged = decide(makeFacts({ requiredTags: ['hipaa'] }), makeSnapshot(), policy)
    expect(tagged.removed).toEqual([
      { model: 'oss-b', reason: 'compliance' },
      { model: 'frontier-b', reason: 'compliance' },
    ])
    // Region and tag are there, but not at the same place.
    const apart = decide(
      makeFacts({ allowedRegions: ['us'], requiredTags: ['hipaa'], frontierAllowed: false }),
      makeSnapshot(),
      policy,
    )
    expect(apart).toMatchObject({ action: 'refuse', code: 'SHUNT_NO_MODEL_PERMITTED' })
    expect(apart.reasons).toEqual(['compliance', 'frontier_not_allowed'])
  })

  test('an air-gapped policy removes every frontier model', () => {
    const outcome = decide(makeFacts(hard), makeSnapshot(), makePolicy({ airGapped: true }))
    expect(outcome).toMatchObject({ tier: 'oss', reasons: ['low_confidence', 'air_gapped'] })
  })

  test('no allowed region in common refuses the step', () => {
    const outcome = decide(makeFacts({ tenantId: 'clinic', allowedRegions: ['us'] }), makeSnapshot(), policy)
    expect(outcome).toMatchObject({ action: 'refuse', code: 'SHUNT_NO_MODEL_PERMITTED', tier: null, model: null })
  })
})

describe('by the gain', () => {
  const asking = makePolicy({ threshold: { gainPpm: 200_000, priorFailurePpm: 150_000 } })
  const outcomeOf = (change: object, policy = asking) => decide(makeFacts(change), makeSnapshot(), policy)

  test('a step that gains what is asked goes to the frontier, however likely the open model is right', () => {
    const outcome = outcomeOf({ gainPpm: 200_000, pSuccessPpm: 900_000 })
    expect(outcome).toMatchObject({
      tier: 'frontier',
      reasons: ['high_gain'],
      thresholdOn: 'gain',
      thresholdPpm: 200_000,
    })
  })

  test('a step that both models fail stays with the open one, whose answer is as good and costs less', () => {
    expect(outcomeOf({ gainPpm: 199_999, pSuccessPpm: 20_000 })).toMatchObject({ tier: 'oss', reasons: ['low_gain'] })
  })

  test('failures, trouble and ambiguous tools lower what is asked, each by a term of its own', () => {
    const outcome = outcomeOf({
      gainPpm: -300_000,
      toolCount: 3,
      toolAmbiguityPpm: 400_000,
      traceTroublePpm: 800_000,
      priorAttempts: [failed('oss-a')],
    })
    expect(outcome.terms).toEqual([
      { name: 'base', ppm: 200_000 },
      { name: 'prior_failures', ppm: -150_000 },
      { name: 'trace_trouble', ppm: -200_000 },
      { name: 'tool_ambiguity', ppm: -100_000 },
    ])
    expect(outcome.thresholdPpm).toBe(-250_000)
    const enough = outcomeOf({ gainPpm: 60_000, priorAttempts: [failed('oss-a')] })
    expect(enough).toMatchObject({ tier: 'frontier', reasons: ['prior_failure'], thresholdPpm: 50_000 })
  })

  test('where the scorer knows no gain, or the policy asks for none, the chance decides', () => {
    expect(outcomeOf(hard)).toMatchObject({ tier: 'frontier', reasons: ['low_confidence'], thresholdOn: 'p_success' })
    expect(outcomeOf({ ...hard, gainPpm: -500_000 }, policy)).toMatchObject({
      tier: 'frontier',
      thresholdOn: 'p_success',
    })
  })

  test("the narrowest base holds: the tenant's for the kind, the tenant's, the kind's, the policy's", () => {
    const perKind = { reasoning: { gainPpm: 2 }, extraction: { pSuccessPpm: 900_000 } }
    const perTenant = { clinic: { gainPpm: 3, perKind: { reasoning: { gainPpm: 4 } } } }
    const narrowed = makePolicy({ threshold: { gainPpm: 1, perKind, perTenant } })
    const askedOf = (change: object) => outcomeOf({ gainPpm: 0, ...change }, narrowed).thresholdPpm
    expect(askedOf({})).toBe(1)
    expect(askedOf({ kind: 'reasoning' })).toBe(2)
    expect(askedOf({ kind: 'extraction' })).toBe(1)
    expect(askedOf({ tenantId: 'clinic' })).toBe(3)
    expect(askedOf({ tenantId: 'clinic', kind: 'reasoning' })).toBe(4)
    expect(askedOf({ gainPpm: null })).toBe(500_000)
    expect(askedOf({ gainPpm: null, kind: 'extraction' })).toBe(900_000)
  })

  test('a tenant may be called by a name that every object has', () => {
    const odd = makePolicy({ tenants: [{ id: 'constructor' }], threshold: { gainPpm: 1, perTenant: {} } })
    expect(outcomeOf({ tenantId: 'constructor', gainPpm: 0 }, odd)).toMatchObject({ tier: 'oss', thresholdPpm: 1 })
  })
})

describe('ability', () => {
  test('tools, images and context remove the models that cannot', () => {
    const tools = decide(makeFacts({ toolCount: 2 }), makeSnapshot(), policy)
    expect(tools.removed).toEqual([{ model: 'oss-b', reason: 'no_tool_support' }])
    const image = decide(makeFacts({ imageCount: 1 }), makeSnapshot(), policy)
    expect(image).toMatchObject({ model: 'frontier-a', reasons: ['no_image_support'] })
    const long = decide(makeFacts({ promptTokens: 7_950 }), makeSnapshot(), policy)
    expect(long).toMatchObject({ model: 'oss-b', maxOutputTokens: 100 })
  })

  test('a step that nothing can take is refused as not fitting, not as not permitted', () => {
    const outcome = decide(makeFacts({ promptTokens: 200_000, tenantId: 'clinic' }), makeSnapshot(), policy)
    expect(outcome).toMatchObject({ action: 'refuse', code: 'SHUNT_NO_MODEL_FITS' })
  })

  test('the answer is cut to what the request asks, the model writes, and the context leaves', () => {
    expect(answerTokens({ maxOutputTokens: 20 })).toBe(20)
    expect(answerTokens({ maxOutputTokens: null })).toBe(500)
    expect(answerTokens({ maxOutputTokens: 9_999 })).toBe(500)
    expect(answerTokens({ maxOutputTokens: 400, promptTokens: 7_900 })).toBe(100)
  })
})

describe('money', () => {
  test('a frontier answer that the budget does not bear is left to the open model', () => {
    for (const [facts, snapshot] of [
      [makeFacts({ ...hard, taskBudgetMicroUsd: 1_114 }), makeSnapshot()],
      [makeFacts(hard), makeSnapshot({ budgetLeftMicroUsd: 1_114 })],
    ] as const)
      expect(decide(facts, snapshot, policy)).toMatchObject({
        action: 'route',
        tier: 'oss',
        reasons: ['low_confidence', 'budget_exhausted'],
      })
    expect(decide(makeFacts({ ...hard, taskBudgetMicroUsd: 1_115 }), makeSnapshot(), policy).tier).toBe('frontier')
  })

  test('it is refused where the policy says so', () => {
    const refusing = makePolicy({ budget: { whenExhausted: 'refuse' } })
    const outcome = decide(makeFacts({ ...hard, taskBudgetMicroUsd: 0 }), makeSnapshot(), refusing)
    expect(outcome).toMatchObject({ action: 'refuse', code: 'SHUNT_BUDGET_EXHAUSTED' })
    const confident = decide(makeFacts({ taskBudgetMicroUsd: 0 }), makeSnapshot(), refusing)
    expect(confident).toMatchObject({ action: 'route', tier: 'oss' })
  })

  test('what earlier attempts of the step have cost counts', () => {
    const spent = failed('frontier-a', { costMicroUsd: 900 })
    const facts = makeFacts({ ...hard, taskBudgetMicroUsd: 2_000, priorAttempts: [spent] })
    expect(decide(facts, makeSnapshot(), policy)).toMatchObject({ tier: 'oss' })
    expect(decide({ ...facts, taskBudgetMicroUsd: 2_015 }, makeSnapshot(), policy)).toMatchObject({
      model: 'frontier-b',
    })
  })

  test('a step that no budget bears is refused for it, though nothing else is against it', () => {
    const dear = makePolicy({
      models: [
        {
          id: 'oss-a',
          tier: 'oss',
          contextTokens: 8_000,
          maxOutputTokens: 500,
          price: { inputMicroUsdPerMTok: 9_000_000, outputMicroUsdPerMTok: 0 },
        },
      ],
      backends: [{ id: 'a', model: 'oss-a', baseUrl: 'http://127.0.0.1:1/v1', region: 'us' }],
      providers: [],
    })
    const outcome = decide(makeFacts({ taskBudgetMicroUsd: 10 }), makeSnapshot(), dear)
    expect(outcome).toMatchObject({ action: 'refuse', code: 'SHUNT_BUDGET_EXHAUSTED', reasons: ['budget_exhausted'] })
  })
})

describe('rules', () => {
  test('the first rule that matches decides, whatever the score', () => {
    const ruled = makePolicy({
      rules: [
        { name: 'never', when: { kind: ['reasoning'] }, choose: { tier: 'refuse' } },
        { name: 'named', when: { requestedModel: ['gpt'] }, choose: { tier: 'frontier', model: 'frontier-b' } },
        { name: 'all', when: {}, choose: { tier: 'oss' } },
      ],
    })
    const named = decide(makeFacts({ requestedModel: 'gpt' }), makeSnapshot(), ruled)
    expect(named).toMatchObject({ model: 'frontier-b', rule: 'named', reasons: ['rule'] })
    expect(decide(makeFacts(hard), makeSnapshot(), ruled)).toMatchObject({ model: 'oss-a', rule: 'all' })
    expect(decide(makeFacts({ kind: 'reasoning' }), makeSnapshot(), ruled)).toMatchObject({
      action: 'refuse',
      code: 'SHUNT_RULE_REFUSED',
      rule: 'never',
    })
  })

  test('every condition of a rule must hold', () => {
    const when = {
      kind: ['tool_call' as const],
      tenant: ['acme'],
      priority: ['batch' as const],
      toolAmbiguityAtLeastPpm: 500_000,
      traceTroubleAtLeastPpm: 100_000,
      priorFailuresAtLeast: 1,
      toolCountAtLeast: 5,
    }
    const ruled = makePolicy({ rules: [{ name: 'r', when, choose: { tier: 'frontier' } }] })
    const meets = {
      kind: 'tool_call',
      priority: 'batch',
      toolAmbiguityPpm: 500_000,
      traceTroublePpm: 100_000,
      toolCount: 5,
      priorAttempts: [failed('oss-a')],
      pSuccessPpm: 1_000_000,
    }
    const ruleOf = (change: object) => decide(makeFacts({ ...meets, ...change }), makeSnapshot(), ruled).rule
    expect(ruleOf({})).toBe('r')
    for (const change of [
      { kind: 'reasoning' },
      { tenantId: 'clinic' },
      { priority: 'interactive' },
      { toolAmbiguityPpm: 499_999 },
      { traceTroublePpm: 99_999 },
      { toolCount: 4 },
      { priorAttempts: [failed('oss-a', { transient: true })] },
    ])
      expect(ruleOf(change)).toBeNull()
  })

  test('a rule does not bring back what a constraint removed', () => {
    const ruled = makePolicy({ rules: [{ name: 'up', when: {}, choose: { tier: 'frontier' } }] })
    const outcome = decide(makeFacts({ tenantId: 'clinic' }), makeSnapshot(), ruled)
    expect(outcome).toMatchObject({ tier: 'oss', reasons: ['rule', 'frontier_not_allowed'] })
  })

  test('a wish for a tier without models is named as what it is', () => {
    const ossOnly = makePolicy({
      models: [
        {
          id: 'oss-a',
          tier: 'oss',
          contextTokens: 8_000,
          maxOutputTokens: 500,
          price: { inputMicroUsdPerMTok: 0, outputMicroUsdPerMTok: 0 },
        },
      ],
      backends: [{ id: 'a', model: 'oss-a', baseUrl: 'http://127.0.0.1:1/v1', region: 'us' }],
      providers: [],
    })
    expect(decide(makeFacts(hard), makeSnapshot(), ossOnly).reasons).toEqual(['low_confidence', 'no_model_in_tier'])
  })
})

describe('earlier attempts and models that are away', () => {
  test('a model that failed the step is not chosen again while another one is permitted', () => {
    const confident = { pSuccessPpm: 1_000_000 }
    const again = decide(makeFacts({ ...confident, priorAttempts: [failed('oss-a')] }), makeSnapshot(), policy)
    expect(again).toMatchObject({ model: 'oss-b', reasons: ['confident', 'prior_failure'] })
    const both = decide(
      makeFacts({ ...confident, priorAttempts: [failed('oss-a'), failed('oss-b')] }),
      makeSnapshot(),
      policy,
    )
    expect(both).toMatchObject({ model: 'frontier-a', reasons: ['prior_failure'] })
    const alone = decide(makeFacts({ tenantId: 'clinic', priorAttempts: [failed('oss-a')] }), makeSnapshot(), policy)
    expect(alone).toMatchObject({ action: 'route', model: 'oss-a' })
  })

  test('a failure that passes by itself does not raise the threshold, yet another model takes its turn', () => {
    const passing = failed('oss-a', { verdict: 'backend_unavailable', transient: true })
    const outcome = decide(makeFacts({ priorAttempts: [passing] }), makeSnapshot(), policy)
    expect(outcome).toMatchObject({ model: 'oss-b', thresholdPpm: 500_000 })
    // Rather the one that was away for a moment than the one whose answer was wrong.
    const mixed = decide(
      makeFacts({ tenantId: 'acme', frontierAllowed: false, priorAttempts: [passing, failed('oss-b')] }),
      makeSnapshot(),
      policy,
    )
    expect(mixed.model).toBe('oss-a')
  })

  test('a model whose breaker is open is passed over, and used when it is all there is', () => {
    const open = makeSnapshot({ unavailableModels: ['oss-a', 'oss-b'] })
    expect(decide(makeFacts(), open, policy)).toMatchObject({ tier: 'frontier', reasons: ['breaker_open'] })
    expect(decide(makeFacts({ tenantId: 'clinic' }), open, policy)).toMatchObject({ action: 'route', model: 'oss-a' })
    const behind = makeSnapshot({ unavailableModels: ['oss-b'] })
    expect(decide(makeFacts(), behind, policy).reasons).toEqual(['confident'])
  })

  test('a step fails when its attempts are used up, whatever else holds', () => {
    const attempts = [failed('oss-a'), failed('oss-b', { transient: true }), failed('frontier-a')]
    const outcome = decide(makeFacts({ priorAttempts: attempts, deadlineAtMs: nowMs - 1 }), makeSnapshot(), policy)
    expect(outcome).toMatchObject({ action: 'fail', code: 'SHUNT_ATTEMPTS_EXHAUSTED', reasons: ['attempts_exhausted'] })
  })
})

describe('deadline', () => {
  test("a step expires at its own deadline, or after the policy's time from publication", () => {
    expect(expired({ deadlineAtMs: nowMs })).toBe(true)
    expect(expired({ deadlineAtMs: nowMs + 1 })).toBe(false)
    expect(expired({ receivedAtMs: nowMs - 600_000 })).toBe(true)
    expect(expired({ receivedAtMs: nowMs - 599_999 })).toBe(false)
    expect(expired({ receivedAtMs: nowMs - 700_000, deadlineAtMs: nowMs + 1 })).toBe(false)
  })

  test('a batch step may stand behind a night of work, and a record without a timestamp never expires by default', () => {
    expect(expired({ receivedAtMs: nowMs - 86_399_999, priority: 'batch' })).toBe(false)
    expect(expired({ receivedAtMs: nowMs - 86_400_000, priority: 'batch' })).toBe(true)
    expect(expired({ receivedAtMs: -1 })).toBe(false)
  })
})

test('a tenant that the policy does not know is refused', () => {
  const outcome = decide(makeFacts({ tenantId: 'nobody' }), makeSnapshot(), policy)
  expect(outcome).toMatchObject({ action: 'refuse', code: 'SHUNT_TENANT_UNKNOWN', reasons: ['tenant_unknown'] })
})
