import { describe, expect, test } from 'vitest'
import type { DecisionRecord } from '#lib/events/types.generated'
import { failed, makePolicy, nowMs } from '../../routing/make-facts.ts'
import { entriesOf, loadedAs, recordStep, verdictOn, type StepSpec } from './recorded.ts'
import { runDiff } from './run-diff.ts'

const lax = loadedAs(makePolicy())
const strict = loadedAs(makePolicy({ threshold: { pSuccessPpm: 900_000 } }))
const airGapped = loadedAs(makePolicy({ airGapped: true }))

async function diff(
  specs: readonly StepSpec[],
  next = strict,
  { recordedBy = lax, known = [lax, strict, airGapped], ...options } = {},
) {
  const records = specs.map((spec) => recordStep(recordedBy, spec))
  return runDiff({ audit: await entriesOf(records) }, next, [recordedBy, ...known], options)
}

describe('another policy over a range', () => {
  test('a stricter threshold moves steps to the frontier; the table says by which term', async () => {
    const report = await diff([
      { stepId: 'sure', facts: { pSuccessPpm: 950_000 } },
      { stepId: 'middling', facts: { pSuccessPpm: 800_000 } },
      { stepId: 'hard', facts: { pSuccessPpm: 100_000 } },
    ])
    expect(report).toMatchObject({ decisions: 3, moved: { tier: 1, model: 0 }, unreadable: 0 })
    expect(report.moves.map(({ before, after, decisions, moved }) => [before, after, decisions, moved])).toEqual([
      ['frontier', 'frontier', 1, 0],
      ['oss', 'frontier', 1, 1],
      ['oss', 'oss', 1, 0],
    ])
    expect(report.reasons.gained).toEqual([{ name: 'low_confidence', count: 1 }])
    expect(report.reasons.lost).toEqual([{ name: 'confident', count: 1 }])
    expect(report.causes).toEqual([{ name: 'threshold term: base', count: 1 }])
    expect(report.sample).toMatchObject([
      {
        stepId: 'middling',
        place: { partition: 0, offset: 2 },
        before: { standing: 'oss', model: 'oss-a' },
        after: { standing: 'frontier', model: 'frontier-a', cost: { basis: 'estimate' } },
        differences: [{ kind: 'term', name: 'base', beforePpm: 500_000, afterPpm: 900_000 }],
      },
    ])
  })

  test('thresholds come out as the policies name them', async () => {
    const { scoreBins } = await diff([{ stepId: 'a' }, { stepId: 'b' }])
    expect(scoreBins).toMatchObject([
      { scale: 'p_success', before: { medianPpm: 500_000 }, after: { medianPpm: 900_000 } },
    ])
  })

  test('a step that stays costs what it cost; one that moves is estimated with its own tokens at the new prices', async () => {
    const report = await diff([
      { stepId: 'moves', call: { promptTokens: 1_000, completionTokens: 50 } },
      { stepId: 'stays', facts: { pSuccessPpm: 0 }, call: { costMicroUsd: 777 } },
    ])
    // 1,000 tokens at $1 and 50 at $10 a million.
    expect(report.cost).toEqual({ beforeMicroUsd: 777, afterMicroUsd: 777 + 1_000 + 500 })
    expect(report.estimatedMicroUsd).toBe(1_500)
    expect(report.costBasis).toEqual({
      before: { recorded: 2, bound: 0, estimate: 0, none: 0 },
      after: { recorded: 1, bound: 0, estimate: 1, none: 0 },
    })
  })

  test('without a call in the range the bound stands for the cost, and is counted as such', async () => {
    const report = await diff([{ stepId: 'hard', facts: { pSuccessPpm: 0 }, call: null }])
    expect(report.costBasis.before).toMatchObject({ bound: 1, recorded: 0 })
    expect(report.cost.beforeMicroUsd).toBe(1_115)
    expect(report.cost.afterMicroUsd).toBe(1_115)
  })

  test('another price for the model that a step stays with is reckoned with', async () => {
    const { models } = lax.policy
    const dear = models.map((model) =>
      model.tier === 'oss'
        ? model
        : { ...model, price: { inputMicroUsdPerMTok: 0, outputMicroUsdPerMTok: 100_000_000 } },
    )
    const report = await diff([{ stepId: 'hard', facts: { pSuccessPpm: 0 } }], loadedAs(makePolicy({ models: dear })))
    expect(report.moved).toEqual({ tier: 0, model: 0 })
    expect(report.cost).toEqual({ beforeMicroUsd: 100 + 400, afterMicroUsd: 4_000 })
  })

  test('an air-gapped policy moves all back to the open models', async () => {
    const report = await diff([{ stepId: 'hard', facts: { pSuccessPpm: 0 } }, { stepId: 'easy' }], airGapped)
    expect(report.moves.map(({ before, after }) => `${before} ${after}`).toSorted()).toEqual([
      'frontier oss',
      'oss oss',
    ])
    expect(report.constraints.find(({ name }) => name === 'air_gapped')).toMatchObject({ before: 0, after: 2 })
    expect(report.causes).toEqual([{ name: 'model removed: air_gapped', count: 1 }])
    expect(report.residency.leaving).toBe(0)
    expect(report.cost.afterMicroUsd).toBe(0)
  })

  test('a step that may now go to another region is told of, whether it moves or not', async () => {
    const { tenants } = lax.policy
    const opened = loadedAs(
      makePolicy({ tenants: tenants.map((tenant) => ({ ...tenant, allowedRegions: null, requiredTags: [] })) }),
    )
    const report = await diff([{ stepId: 'scan', facts: { tenantId: 'clinic' } }, { stepId: 'easy' }], opened)
    expect(report.moved).toEqual({ tier: 0, model: 0 })
    expect(report.residency).toMatchObject({ leaving: 1, paths: [{ from: 'eu', to: 'us', decisions: 1 }] })
    expect(report.residency.sample).toMatchObject([{ stepId: 'scan', regionsLeft: { from: ['eu'], to: ['us'] } }])
  })

  test('a later attempt is left out where an earlier one goes elsewhere, and decided again where it does not', async () => {
    const twice = (stepId: string, pSuccessPpm: number): StepSpec[] => [
      { stepId, facts: { pSuccessPpm }, call: { verdict: 'truncated' } },
      {
        stepId,
        attempt: 2,
        facts: { pSuccessPpm, priorAttempts: [failed('oss-a')] },
        snapshot: { nowMs: nowMs + 20 },
        call: { costMicroUsd: 9 },
      },
    ]
    const report = await diff([...twice('moves', 800_000), ...twice('stays', 1_000_000)])
    expect(report.decisions).toBe(3)
    expect(report.leftOut).toEqual({ decisions: 1, costMicroUsd: 9 })
    expect(report.cost.beforeMicroUsd).toBe(18)
    expect(report.sample.map(({ stepId, attempt }) => [stepId, attempt])).toEqual([['moves', 1]])
    // What is known to be wrong by its form costs no right answer.
    expect(report.moves.find(({ moved }) => moved > 0)!.known).toMatchObject({ failedVerification: 1, right: 0 })
  })

  test('what callers said of moved answers is kept apart from what the scorer expects', async () => {
    const records = [
      recordStep(lax, { stepId: 'a', facts: { gainPpm: 150_000 } }),
      recordStep(lax, { stepId: 'b', facts: { gainPpm: 50_000 } }),
      recordStep(lax, { stepId: 'c' }),
      recordStep(lax, { stepId: 'd', facts: { pSuccessPpm: 950_000 } }),
    ]
    const log = {
      audit: await entriesOf(records),
      feedback: [
        verdictOn(records[0]!, 'right'),
        verdictOn(records[1]!, 'wrong', 1),
        verdictOn(records[3]!, 'right', 2),
      ],
    }
    const { moves } = await runDiff(log, strict, [lax])
    const [move] = moves.filter(({ moved }) => moved > 0)
    expect(move).toMatchObject({ before: 'oss', after: 'frontier', moved: 3 })
    expect(move!.known).toMatchObject({ right: 1, wrong: 1, failedVerification: 0, unknown: 1 })
    expect(move!.expected).toMatchObject({ decisions: 2, withoutGain: 1 })
    expect(move!.expected.change).toBeCloseTo(0.2, 9)
    expect(move!.expected.withoutGainAtMost).toBeCloseTo(0.2, 9)
  })

  test('a refused step that goes to a frontier model may bring a whole right answer', async () => {
    const refusing = loadedAs(makePolicy({ rules: [{ name: 'no', when: {}, choose: { tier: 'refuse' } }] }))
    const { moves } = await diff([{ stepId: 'a' }], strict, { recordedBy: refusing })
    expect(moves).toMatchObject([
      { before: 'refused', after: 'frontier', expected: { withoutGain: 1, withoutGainAtMost: 1 } },
    ])
  })

  test('a record that cannot be decoded is counted, and the rest compared', async () => {
    const audit = await entriesOf([recordStep(lax, { stepId: 'a' }), recordStep(lax, { stepId: 'b' })])
    const [first, ...rest] = audit
    const cut = { ...first!, record: { ...first!.record!, body: first!.record!.body.subarray(0, 60) } }
    const unreadable = { ...first!, record: null, problem: 'no AuditRecord' }
    const report = await runDiff({ audit: [unreadable, cut, ...rest] }, strict, [lax])
    expect(report).toMatchObject({ unreadable: 2, decisions: 1 })
  })

  test('a policy that the log has not any more is counted, and its steps are compared', async () => {
    const report = await diff([{ stepId: 'a' }], strict, {
      recordedBy: loadedAs(makePolicy({ version: 1 })),
      known: [],
    })
    expect(report.recordedPolicyUnknown).toBe(0)
    const records = [recordStep(lax, { stepId: 'a' })]
    expect(await runDiff({ audit: await entriesOf(records) }, strict, [])).toMatchObject({
      recordedPolicyUnknown: 1,
      decisions: 1,
      moved: { tier: 1, model: 0 },
      residency: { leaving: 1 },
    })
  })

  test('offsets bound decisions, and what came of them is found in other partitions', async () => {
    const specs = ['a', 'b', 'c'].map((stepId, i) => ({
      stepId,
      taskId: `t-${stepId}`,
      snapshot: { nowMs: nowMs + i },
    }))
    const audit = await entriesOf(specs.map((spec) => recordStep(lax, spec)))
    const apart = audit.map((entry) => ({ ...entry, partition: entry.record!.type === 'attempt' ? 1 : 0 }))
    const range = { offsets: new Map([[0, { from: 2, until: 4 }]]) }
    const report = await runDiff({ audit: apart }, strict, [lax], { range })
    expect(report).toMatchObject({ decisions: 1, costBasis: { before: { recorded: 1, bound: 0 } } })
    expect(report.sample.map(({ stepId }) => stepId)).toEqual(['b'])
    const none = await runDiff({ audit: apart }, strict, [lax], { range: { offsets: new Map([[7, {}]]) } })
    expect(none).toMatchObject({ decisions: 0, moves: [] })
  })

  test('only what is wanted is told of', async () => {
    const report = await diff([{ stepId: 'a' }, { stepId: 'b' }], strict, {
      wants: ({ stepId }: { stepId: string }) => stepId === 'a',
    } as object)
    expect(report).toMatchObject({ decisions: 1, moved: { tier: 1, model: 0 } })
  })

  test('of many tenants those that move most money are named, and the others summed', async () => {
    const ids = Array.from({ length: 30 }, (_, i) => `t-${i}`)
    const tenants = ids.map((id) => ({ id }))
    const specs = ids.map((tenantId, i) => ({
      stepId: `s-${i}`,
      taskId: `task-${i}`,
      facts: { tenantId },
      call: { promptTokens: 100 * (i + 1), completionTokens: 1 },
    }))
    const recordedBy = loadedAs(makePolicy({ tenants }))
    const report = await diff(specs, loadedAs(makePolicy({ tenants, threshold: { pSuccessPpm: 900_000 } })), {
      recordedBy,
      groups: 5,
    } as object)
    const { groups, rest, restGroups } = report.groups.tenant
    expect(groups.map(({ name }) => name)).toEqual(['t-29', 't-28', 't-27', 't-26', 't-25'])
    expect(restGroups).toBe(25)
    expect(rest!.decisions).toBe(25)
    const sum = groups.reduce((total, group) => total + group.costAfterMicroUsd, rest!.costAfterMicroUsd)
    expect(sum).toBe(report.cost.afterMicroUsd)
  })
})

describe('a new scorer', () => {
  const origin = { topic: 'agent.steps', partition: 0, offset: 7 }
  const scorer = { use: 'trained' as const, hash: '7'.repeat(64) }
  const next = loadedAs(makePolicy({ scorer }))

  test('what it makes of a text that is still kept decides; else the recorded score does, and is counted', async () => {
    const asked: string[] = []
    const report = await diff(
      [
        { stepId: 'kept', offset: 7 },
        { stepId: 'gone', offset: 9 },
      ],
      next,
      {
        scoreTexts: (records: readonly DecisionRecord[]) => {
          asked.push(...records.map(({ stepId }) => stepId))
          const score = { pSuccessPpm: 10_000, gainPpm: null, scoredBy: 'trained' }
          return Promise.resolve([{ taskId: 'task-1', stepId: 'kept', origin, score }])
        },
      } as object,
    )
    expect(asked).toEqual(['kept', 'gone'])
    expect(report.scores).toEqual({ same: 0, anew: 1, kept: 1 })
    expect(report.sample).toMatchObject([
      { stepId: 'kept', differences: [{ kind: 'score', name: 'pSuccess', beforePpm: 800_000, afterPpm: 10_000 }] },
    ])
  })

  test('an HTTP scorer elsewhere is another one: nothing is sent to it, and the recorded score is counted as kept', async () => {
    const http = (url: string) => loadedAs(makePolicy({ scorer: { use: 'http', url, region: 'eu' } }))
    const [here, there] = [http('http://127.0.0.1:1/v1'), http('http://127.0.0.1:2/v1')]
    const specs = [
      { stepId: 'answered', facts: { scoredBy: 'http' } },
      { stepId: 'late', facts: { scorerFallback: 'timeout' } },
    ]
    const recordedBy = { recordedBy: here }
    expect((await diff(specs, here, recordedBy)).scores).toEqual({ same: 2, anew: 0, kept: 0 })
    expect((await diff(specs, there, recordedBy)).scores).toEqual({ same: 0, anew: 0, kept: 2 })
    expect((await diff(specs, lax, recordedBy)).scores).toEqual({ same: 1, anew: 0, kept: 1 })
  })

  test('texts are not read where the policy asks the scorer that answered', async () => {
    const report = await diff([{ stepId: 'a' }], strict, {
      scoreTexts: () => {
        throw new Error('asked')
      },
    } as object)
    expect(report.scores).toEqual({ same: 1, anew: 0, kept: 0 })
  })
})

describe('budgets', () => {
  const capped = (taskBudgetMicroUsd: number | null, change = {}) =>
    loadedAs(
      makePolicy({ tenants: [{ id: 'acme', taskBudgetMicroUsd, ...change }], threshold: { pSuccessPpm: 900_000 } }),
    )
  const call = { promptTokens: 100, completionTokens: 100 }
  // Each costs 100 + 1,000 and holds 1,115.
  const four = (left: number | null): StepSpec[] =>
    [0, 1, 2, 3].map((i) => {
      const leftNow = left === null ? null : left - 1_100 * i
      return {
        stepId: `s-${i}`,
        call,
        snapshot: { nowMs: nowMs + i, taskSteps: i, budgetLeftMicroUsd: leftNow, taskLeftMicroUsd: leftNow },
      }
    })
  const noScarcity = { budgetScarcityPpm: 0, pSuccessPpm: 900_000 }

  test('a lower cap is hit where the recorded one was not', async () => {
    const policy = (cap: number) =>
      loadedAs(makePolicy({ tenants: [{ id: 'acme', taskBudgetMicroUsd: cap }], threshold: noScarcity }))
    const report = await diff(four(10_000), policy(2_300), { recordedBy: policy(10_000) })
    expect(report.budgetExhausted).toEqual({ before: 0, after: 2 })
    expect(report.moved.tier).toBe(2)
  })

  test('a cap where there was none is held against what the task spent in the range', async () => {
    const report = await diff(
      four(null),
      loadedAs(makePolicy({ tenants: [{ id: 'acme', taskBudgetMicroUsd: 2_300 }], threshold: noScarcity })),
      { recordedBy: capped(null) },
    )
    expect(report.budgetExhausted).toEqual({ before: 0, after: 2 })
  })

  test('what a policy spends more on a step is not there for the next ones of the task', async () => {
    const threshold = { budgetScarcityPpm: 0 }
    const tenants = [{ id: 'acme', taskBudgetMicroUsd: 2_300 }]
    const recordedBy = loadedAs(makePolicy({ tenants, threshold }))
    // Recorded on the open model: nothing was spent.
    const specs = four(2_300).map((spec) => ({
      ...spec,
      snapshot: { ...spec.snapshot, budgetLeftMicroUsd: 2_300, taskLeftMicroUsd: 2_300 },
    }))
    const report = await diff(specs, loadedAs(makePolicy({ tenants, threshold: noScarcity })), { recordedBy })
    expect(report.moved.tier).toBe(2)
    expect(report.budgetExhausted).toEqual({ before: 0, after: 2 })
    expect(report.dayCaps).toBe(false)
  })

  test("a day's money runs across tasks", async () => {
    const policy = (day: number | null) =>
      loadedAs(makePolicy({ tenants: [{ id: 'acme', dayBudgetMicroUsd: day }], threshold: noScarcity }))
    const specs = [0, 1, 2, 3].map((i) => ({
      stepId: `s-${i}`,
      taskId: `task-${i}`,
      call,
      snapshot: { nowMs: nowMs + 600_000 * i, taskSteps: 0 },
      facts: { receivedAtMs: nowMs + 600_000 * i - 1 },
    }))
    const report = await diff(specs, policy(2_300), { recordedBy: policy(null) })
    expect(report.dayCaps).toBe(true)
    expect(report.budgetExhausted).toEqual({ before: 0, after: 2 })
  })
})
