import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { avroType } from '#lib/events/avro-type'
import { tightenConstraints } from '#lib/events/tenant'
import type { DecisionOutcome, LedgerSnapshot, StepFacts, StepKind } from '#lib/events/types.generated'
import type { CompiledPolicy } from '#lib/policy/compile-policy'
import { compilePolicy } from '#lib/policy/compile-policy'
import { whyForbidden } from '#lib/routing/constraints'
import { noLedger } from '#lib/routing/no-ledger'
import { decide, engines } from '#lib/routing/decide'
import { reasons } from '#lib/routing/reasons'
import { anyFacts, anyPolicy, anySnapshot } from './arbitraries.ts'

vi.setConfig({ testTimeout: 60_000 })

const runs = { numRuns: 500 }

function always(
  holds: (outcome: DecisionOutcome, facts: StepFacts, snapshot: LedgerSnapshot, policy: CompiledPolicy) => void,
): void {
  fc.assert(
    fc.property(anyFacts, anySnapshot, anyPolicy, (facts, snapshot, policy) => {
      for (const engine of engines.values()) holds(engine(facts, snapshot, policy), facts, snapshot, policy)
    }),
    runs,
  )
}

/** The same of the newest engine alone. */
function alwaysNow(holds: (outcome: DecisionOutcome, facts: StepFacts, policy: CompiledPolicy) => void): void {
  fc.assert(
    fc.property(anyFacts, anySnapshot, anyPolicy, (facts, snapshot, policy) =>
      holds(decide(facts, snapshot, policy), facts, policy),
    ),
    runs,
  )
}

test('the generated decisions are worth looking at: many route, most of these had a model removed, and some went by gain', () => {
  let routed = 0
  let narrowed = 0
  let byGain = 0
  alwaysNow((outcome) => {
    if (outcome.action !== 'route') return
    routed += 1
    if (outcome.removed.length > 0) narrowed += 1
    if (outcome.thresholdOn === 'gain') byGain += 1
  })
  expect(byGain).toBeGreaterThan(runs.numRuns / 10)
  expect(routed).toBeGreaterThan(runs.numRuns / 4)
  expect(narrowed).toBeGreaterThan(runs.numRuns / 5)
})

describe('I2: a restricted step never reaches a model that its constraints forbid', () => {
  test('I2: the chosen model has a place in an allowed region that carries every required tag', () => {
    always((outcome, facts, _snapshot, policy) => {
      if (outcome.action !== 'route') return
      const tenant = policy.index.tenants.get(facts.tenantId)!
      const constraints = tightenConstraints(facts, tenant)
      const { places } = policy.index.models.get(outcome.model!)!
      expect(places.some((place) => whyForbidden(place, constraints, policy) === null)).toBe(true)
    })
  })

  test('I2: read anew from floor and step, without the code that decides', () => {
    always((outcome, facts, _snapshot, policy) => {
      if (outcome.action !== 'route') return
      const tenant = policy.tenants.find(({ id }) => id === facts.tenantId)!
      const servers =
        outcome.tier === 'oss'
          ? policy.backends.filter(({ model }) => model === outcome.model)
          : policy.providers.filter(({ models }) => models.includes(outcome.model!))
      const allowed = servers.filter(
        ({ region, complianceTags }) =>
          (tenant.allowedRegions?.includes(region) ?? true) &&
          (facts.allowedRegions?.includes(region) ?? true) &&
          [...tenant.requiredTags, ...facts.requiredTags].every((tag) => complianceTags.includes(tag)),
      )
      expect(allowed.length).toBeGreaterThan(0)
      if (outcome.tier === 'frontier')
        expect([policy.airGapped, tenant.frontierAllowed, facts.frontierAllowed]).toEqual([false, true, true])
    })
  })

  test('I2: no failure, breaker, rule, budget or score brings a forbidden model back', () => {
    always((outcome, facts, _snapshot, policy) => {
      for (const { model, reason } of outcome.removed) {
        expect(model).not.toBe(outcome.model)
        const calm = { ...facts, priorAttempts: [], pSuccessPpm: 1_000_000, taskBudgetMicroUsd: null }
        const unruled = compilePolicy({ ...policy, rules: [] })
        if (['air_gapped', 'frontier_not_allowed', 'residency', 'compliance'].includes(reason))
          expect(decide({ ...calm, deadlineAtMs: 1 }, noLedger(0), unruled).model).not.toBe(model)
      }
    })
  })
})

describe('I4: the same arguments give the same bytes', () => {
  const recordType = avroType('decision-record')
  const outcomeType = (recordType as unknown as { field(name: string): { type: typeof recordType } }).field(
    'outcome',
  ).type

  test('I4: as JSON, also from arguments that went through JSON and a policy compiled anew', () => {
    fc.assert(
      fc.property(anyFacts, anySnapshot, anyPolicy, (facts, snapshot, policy) => {
        const { index: _index, ...file } = policy
        for (const engine of engines.values()) {
          const again = engine(copy(facts), copy(snapshot), compilePolicy(copy(file)))
          expect(JSON.stringify(again)).toBe(JSON.stringify(engine(facts, snapshot, policy)))
        }
      }),
      runs,
    )
  })

  test('I4: as Avro, whose reading gives the outcome back', () => {
    always((outcome) => {
      const bytes = outcomeType.toBuffer(outcome)
      expect(JSON.stringify(outcomeType.fromBuffer(bytes))).toBe(JSON.stringify(outcome))
    })
  })

  test('I4: arguments are not written to', () => {
    fc.assert(
      fc.property(anyFacts, anySnapshot, anyPolicy, (facts, snapshot, policy) => {
        decide(freeze(facts), freeze(snapshot), policy)
      }),
      { numRuns: 200 },
    )
  })
})

describe('outcomes', () => {
  test('a routed step has a model of its tier with room for an answer; any other end has a code and no model', () => {
    always((outcome, facts, _snapshot, policy) => {
      if (outcome.action === 'route') {
        const { model } = policy.index.models.get(outcome.model!)!
        expect(model.tier).toBe(outcome.tier)
        expect(outcome.code).toBeNull()
        expect(outcome.maxOutputTokens).toBeGreaterThan(0)
        expect(outcome.maxOutputTokens + facts.promptTokens).toBeLessThanOrEqual(model.contextTokens)
        expect(outcome.maxOutputTokens).toBeLessThanOrEqual(
          Math.min(model.maxOutputTokens, facts.maxOutputTokens ?? Infinity),
        )
      } else expect([outcome.code?.startsWith('SHUNT_'), outcome.tier, outcome.model]).toEqual([true, null, null])
    })
  })

  test("a paid answer's bound is within every cap that is known", () => {
    always((outcome, facts, snapshot, policy) => {
      if (outcome.action !== 'route') return
      const tenant = policy.index.tenants.get(facts.tenantId)!
      const spent = facts.priorAttempts.reduce((sum, attempt) => sum + attempt.costMicroUsd, 0)
      // A ledger knows these caps too, and an operator's in their place.
      const named = snapshot.taskSteps === null ? [facts.taskBudgetMicroUsd, tenant.taskBudgetMicroUsd] : []
      const left = named.map((cap) => (cap === null ? Infinity : Math.max(0, cap - spent)))
      expect(outcome.boundMicroUsd).toBeLessThanOrEqual(Math.min(...left, snapshot.budgetLeftMicroUsd ?? Infinity))
    })
  })

  test('numbers are whole and in range, and reasons are on the list, each once', () => {
    always((outcome) => {
      expect(Number.isSafeInteger(outcome.maxOutputTokens) && outcome.maxOutputTokens >= 0).toBe(true)
      expect(Number.isSafeInteger(outcome.boundMicroUsd) && outcome.boundMicroUsd >= 0).toBe(true)
      expect([outcome.thresholdPpm, ...outcome.terms.map((t) => t.ppm)].every(Number.isSafeInteger)).toBe(true)
      const least = outcome.thresholdOn === 'gain' ? -1_000_000 : 0
      expect(outcome.thresholdPpm).toBeGreaterThanOrEqual(least)
      expect(outcome.thresholdPpm).toBeLessThanOrEqual(1_000_000)
      expect(outcome.reasons.length).toBeGreaterThan(0)
      expect(new Set(outcome.reasons).size).toBe(outcome.reasons.length)
      for (const reason of outcome.reasons) expect(reasons).toHaveProperty(reason)
    })
  })

  test('the terms are what the threshold is made of: a base, shifts towards the frontier, and scarcity away from it', () => {
    always(({ terms, thresholdPpm, thresholdOn }) => {
      if (terms.length === 0) return
      expect(terms[0]!.name).toBe('base')
      const sign = thresholdOn === 'gain' ? -1 : 1
      for (const { name, ppm } of terms.slice(1))
        expect(sign * ppm * (name === 'budget_scarcity' ? -1 : 1)).toBeGreaterThan(0)
      const sum = terms.reduce((total, { ppm }) => total + ppm, 0)
      const least = thresholdOn === 'gain' ? -1_000_000 : 0
      expect(thresholdPpm).toBe(Math.max(least, Math.min(1_000_000, sum)))
    })
  })

  test('the scale is the gain exactly where the scorer knows one and a base asks for one', () => {
    alwaysNow(({ terms, thresholdOn }, { gainPpm, kind, tenantId }, { threshold }) => {
      if (terms.length === 0) return
      const tenant = new Map(Object.entries(threshold.perTenant ?? {})).get(tenantId)
      const bases = [threshold, threshold.perKind?.[kind as StepKind], tenant, tenant?.perKind?.[kind as StepKind]]
      const asked = bases.some((base) => base?.gainPpm !== undefined)
      expect(thresholdOn).toBe(gainPpm !== null && asked ? 'gain' : 'p_success')
    })
  })

  test('more gain never takes a step from the frontier', () => {
    fc.assert(
      fc.property(anyFacts, anySnapshot, anyPolicy, fc.nat(1_000_000), (facts, snapshot, policy, more) => {
        if (facts.gainPpm === null) return
        const { tier } = decide(facts, snapshot, policy)
        const gainPpm = Math.min(1_000_000, facts.gainPpm + more)
        if (tier === 'frontier') expect(decide({ ...facts, gainPpm }, snapshot, policy).tier).toBe('frontier')
      }),
      runs,
    )
  })

  test('without a gain that is asked for, and without narrower bases, engine 2 decides as engine 1', () => {
    fc.assert(
      fc.property(anyFacts, anySnapshot, anyPolicy, (facts, snapshot, policy) => {
        const { gainPpm: _gain, perKind: _kinds, perTenant: _tenants, ...threshold } = policy.threshold
        const older = compilePolicy({ ...policy, threshold })
        const outcomes = [1, 2].map((version) => engines.get(version)!(facts, snapshot, older))
        expect(JSON.stringify(outcomes[1])).toBe(JSON.stringify(outcomes[0]))
      }),
      runs,
    )
  })

  test('where no ledger knows anything, engine 3 decides as engine 2', () => {
    fc.assert(
      fc.property(anyFacts, anySnapshot, anyPolicy, (facts, snapshot, policy) => {
        const unknown = { ...snapshot, failuresPpm: null, taskLeftMicroUsd: null, taskSteps: null }
        const outcomes = [2, 3].map((version) => engines.get(version)!(facts, unknown, policy))
        expect(JSON.stringify(outcomes[1])).toBe(JSON.stringify(outcomes[0]))
      }),
      runs,
    )
  })

  test('more failures never take a step from the frontier, and less money never sends one there', () => {
    fc.assert(
      fc.property(anyFacts, anySnapshot, anyPolicy, fc.nat(1_000_000), (facts, snapshot, policy, more) => {
        const { tier } = decide(facts, snapshot, policy)
        const failing = { ...snapshot.failuresPpm }
        for (const name of ['task', 'tool:search', ...policy.models.map(({ id }) => `model:${id}`)])
          failing[name] = Math.min(1_000_000, (failing[name] ?? 0) + more)
        const worse = decide(facts, { ...snapshot, failuresPpm: failing }, policy)
        if (tier === 'frontier') expect(worse.tier).toBe('frontier')
        if (snapshot.taskLeftMicroUsd === null) return
        const poorer = { ...snapshot, taskLeftMicroUsd: Math.max(0, snapshot.taskLeftMicroUsd - more) }
        if (tier === 'oss') expect(decide(facts, poorer, policy).tier).not.toBe('frontier')
      }),
      runs,
    )
  })

  test('a model that failed the step is chosen only when every permitted one has', () => {
    always((outcome, facts, _snapshot, policy) => {
      if (outcome.action !== 'route') return
      const failed = new Set(facts.priorAttempts.flatMap(({ model, transient }) => (transient ? [] : [model])))
      if (!failed.has(outcome.model!)) return
      const removed = new Set(outcome.removed.map(({ model }) => model))
      for (const { id } of policy.models) expect(removed.has(id) || failed.has(id)).toBe(true)
    })
  })
})

function copy<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(freeze)
  return value
}
