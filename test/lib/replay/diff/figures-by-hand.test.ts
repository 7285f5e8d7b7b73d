import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { DecisionOutcome, DecisionRecord, FeedbackVerdict } from '#lib/events/types.generated'
import type { CompiledPolicy } from '#lib/policy/compile-policy'
import { decide } from '#lib/routing/decide'
import { anyFacts, anyPolicy, anySnapshot } from '../../routing/arbitraries.ts'
import { entriesOf, loadedAs, recordStep, verdictOn } from './recorded.ts'
import { runDiff } from './run-diff.ts'

interface AnyStep {
  task: number
  facts: DecisionRecord['facts']
  snapshot: DecisionRecord['snapshot']
  call: { costMicroUsd: number; promptTokens: number; completionTokens: number; verdict: string } | null
  said: FeedbackVerdict | null
}

/** Without a ledger: nothing of one step is carried to another, so that each can be reckoned by itself. */
const anySteps: fc.Arbitrary<AnyStep[]> = fc.array(
  fc.record({
    task: fc.nat(3),
    facts: anyFacts.map((facts) => ({ ...facts, scoredBy: 'hand_weighted', scorerFallback: null })),
    snapshot: anySnapshot.map((snapshot) => ({ ...snapshot, taskSteps: null })),
    call: fc.option(
      fc.record({
        costMicroUsd: fc.nat(10_000),
        promptTokens: fc.nat(5_000),
        completionTokens: fc.nat(500),
        verdict: fc.constantFrom('ok', 'truncated', 'backend_timeout', 'low_confidence'),
      }),
    ),
    said: fc.option(fc.constantFrom('right', 'wrong', 'unknown')),
  }),
  { minLength: 1, maxLength: 25 },
)

const whereTo = ({ action, tier }: DecisionOutcome): string =>
  action === 'route' ? tier! : { refuse: 'refused', fail: 'failed', expire: 'expired', unknown: 'unknown' }[action]
const exhausted = ({ reasons, removed }: DecisionOutcome): boolean =>
  reasons.includes('budget_exhausted') || removed.some(({ reason }) => reason === 'budget_exhausted')
const named = (names: readonly string[]) =>
  Object.fromEntries([...new Set(names)].map((name) => [name, names.filter((n) => n === name).length]))
const asObject = (counts: readonly { name: string; count: number }[]) =>
  Object.fromEntries(counts.map(({ name, count }) => [name, count]))
const hand = (policy: CompiledPolicy) => loadedAs({ ...policy, scorer: undefined })
const priceOf = (policy: CompiledPolicy, model: string) => policy.models.find(({ id }) => id === model)!.price

function costAfter(
  was: DecisionOutcome,
  is: DecisionOutcome,
  before: CompiledPolicy,
  after: CompiledPolicy,
  step: AnyStep,
  wasCost: number,
): number {
  if (is.action !== 'route') return 0
  const price = priceOf(after, is.model!)
  if (is.model === was.model) {
    const old = priceOf(before, was.model!)
    if (
      old.inputMicroUsdPerMTok === price.inputMicroUsdPerMTok &&
      old.outputMicroUsdPerMTok === price.outputMicroUsdPerMTok
    )
      return wasCost
  }
  if (was.action !== 'route' || step.call === null || step.call.completionTokens === 0) return is.boundMicroUsd
  const prompt = step.call.promptTokens || step.facts.promptTokens
  const out = Math.min(step.call.completionTokens, is.maxOutputTokens)
  return Math.ceil((prompt * price.inputMicroUsdPerMTok + out * price.outputMicroUsdPerMTok) / 1e6)
}

describe('for any policies, and steps of which nothing is carried to another', () => {
  test('each figure is what the recorded decisions and decide() make of it by hand', async () => {
    await fc.assert(
      fc.asyncProperty(anyPolicy, anyPolicy, anySteps, async (first, second, steps) => {
        const [a, b] = [hand(first), hand(second)]
        const records = steps.map(({ task, facts, snapshot, call }, i) =>
          recordStep(a, { stepId: `s-${i}`, offset: i, taskId: `t-${task}`, facts, snapshot, call }),
        )
        const feedback = steps.flatMap(({ said }, i) => (said ? [verdictOn(records[i]!, said as 'right', i)] : []))
        const report = await runDiff({ audit: await entriesOf(records), feedback }, b, [a], { sample: 1000 })

        const rows = steps.map((step, i) => {
          const was = decide(step.facts, step.snapshot, a.policy)
          const is = decide(step.facts, step.snapshot, b.policy)
          const wasCost = was.action !== 'route' ? 0 : (step.call?.costMicroUsd ?? was.boundMicroUsd)
          const answered = was.action === 'route' && step.call !== null
          const moved = whereTo(was) !== whereTo(is) || was.model !== is.model
          return {
            id: `s-${i}`,
            step,
            was,
            is,
            wasCost,
            isCost: costAfter(was, is, a.policy, b.policy, step, wasCost),
            answered,
            moved,
          }
        })
        const sum = (n: readonly number[]) => n.reduce((x, y) => x + y, 0)
        expect(report.decisions).toBe(rows.length)
        for (const key of new Set(rows.map(({ was, is }) => `${whereTo(was)}>${whereTo(is)}`))) {
          const [from, to] = key.split('>')
          const here = rows.filter(({ was, is }) => whereTo(was) === from && whereTo(is) === to)
          const tally = report.moves.find(({ before, after }) => before === from && after === to)!
          const went = here.filter(({ moved }) => moved)
          expect(tally).toMatchObject({
            decisions: here.length,
            moved: went.length,
            costBeforeMicroUsd: sum(here.map(({ wasCost }) => wasCost)),
            costAfterMicroUsd: sum(here.map(({ isCost }) => isCost)),
          })
          const right = went.filter((r) => r.answered && r.step.said === 'right').length
          const wrong = went.filter((r) => r.answered && r.step.said === 'wrong').length
          const bad = went.filter(
            (r) =>
              r.answered && (r.step.said === null || r.step.said === 'unknown') && r.step.call!.verdict === 'truncated',
          ).length
          expect(tally.known).toMatchObject({
            right,
            wrong,
            failedVerification: bad,
            unknown: went.length - right - wrong - bad,
          })
        }
        expect(report.cost).toEqual({
          beforeMicroUsd: sum(rows.map((r) => r.wasCost)),
          afterMicroUsd: sum(rows.map((r) => r.isCost)),
        })
        expect(report.budgetExhausted).toEqual({
          before: rows.filter((r) => exhausted(r.was)).length,
          after: rows.filter((r) => exhausted(r.is)).length,
        })
        expect(asObject(report.reasons.gained)).toEqual(
          named(rows.flatMap(({ was, is }) => is.reasons.filter((x) => !was.reasons.includes(x)))),
        )
        expect(asObject(report.reasons.lost)).toEqual(
          named(rows.flatMap(({ was, is }) => was.reasons.filter((x) => !is.reasons.includes(x)))),
        )
        for (const { name, before, after } of report.constraints) {
          expect(before).toBe(rows.filter(({ was }) => was.removed.some((x) => x.reason === name)).length)
          expect(after).toBe(rows.filter(({ is }) => is.removed.some((x) => x.reason === name)).length)
        }
        for (const [groups, of] of [
          [report.groups.tenant, (f: DecisionRecord['facts']) => f.tenantId],
          [report.groups.kind, (f: DecisionRecord['facts']) => f.kind],
          [report.groups.requestedModel, (f: DecisionRecord['facts']) => f.requestedModel ?? ''],
        ] as const)
          for (const group of groups.groups) {
            const here = rows.filter((r) => of(r.step.facts) === group.name)
            expect(group).toMatchObject({
              decisions: here.length,
              movedTier: here.filter((r) => whereTo(r.was) !== whereTo(r.is)).length,
              movedModel: here.filter((r) => r.moved && whereTo(r.was) === whereTo(r.is)).length,
              toFrontier: here.filter((r) => whereTo(r.was) !== 'frontier' && whereTo(r.is) === 'frontier').length,
              toOss: here.filter((r) => whereTo(r.was) !== 'oss' && whereTo(r.is) === 'oss').length,
              costBeforeMicroUsd: sum(here.map((r) => r.wasCost)),
              costAfterMicroUsd: sum(here.map((r) => r.isCost)),
            })
          }
        expect(report.sample.map(({ stepId }) => stepId).toSorted()).toEqual(
          rows
            .filter((r) => r.moved)
            .map((r) => r.id)
            .toSorted(),
        )
        // Residency, by hand: regions where the model of the outcome has a place that the step may use.
        const regions = (policy: CompiledPolicy, model: string | null, facts: DecisionRecord['facts']): string[] => {
          const tenant = policy.tenants.find(({ id }) => id === facts.tenantId)
          const found = policy.models.find(({ id }) => id === model)
          if (!tenant || !found) return []
          const places =
            found.tier === 'oss'
              ? policy.backends.filter((x) => x.model === model)
              : policy.providers.filter((x) => x.models.includes(model!))
          const ok = places.filter(
            (p) =>
              (found.tier === 'oss' || (!policy.airGapped && tenant.frontierAllowed && facts.frontierAllowed)) &&
              (tenant.allowedRegions === null || tenant.allowedRegions.includes(p.region)) &&
              (facts.allowedRegions === null || facts.allowedRegions.includes(p.region)) &&
              [...tenant.requiredTags, ...facts.requiredTags].every((tag) => p.complianceTags.includes(tag)),
          )
          return ok.map((p) => p.region)
        }
        const leaving = rows.filter(({ was, is, step }) => {
          const from = regions(a.policy, was.model, step.facts)
          const home =
            whereTo(was) === 'frontier'
              ? a.policy.models
                  .filter(({ tier }) => tier === 'oss')
                  .flatMap(({ id }) => regions(a.policy, id, step.facts))
              : []
          return regions(b.policy, is.model, step.facts).some((r) => !from.includes(r) && !home.includes(r))
        })
        expect(report.residency.leaving).toBe(leaving.length)
        expect(report.residency.sample.map(({ stepId }) => stepId).toSorted()).toEqual(
          leaving.map((r) => r.id).toSorted(),
        )
      }),
      { numRuns: 40 },
    )
  })

  test('from A to B is the mirror of from B to A', async () => {
    await fc.assert(
      fc.asyncProperty(anyPolicy, anyPolicy, anySteps, async (first, second, steps) => {
        const [a, b] = [hand(first), hand(second)]
        const by = (policy: typeof a) =>
          entriesOf(
            steps.map(({ task, facts, snapshot }, i) =>
              recordStep(policy, { stepId: `s-${i}`, offset: i, taskId: `t-${task}`, facts, snapshot, call: null }),
            ),
          )
        const there = await runDiff({ audit: await by(a) }, b, [a], { sample: 100 })
        const back = await runDiff({ audit: await by(b) }, a, [b], { sample: 100 })
        expect(back.moved).toEqual(there.moved)
        expect(back.reasons).toEqual({ gained: there.reasons.lost, lost: there.reasons.gained })
        expect(back.budgetExhausted).toEqual({
          before: there.budgetExhausted.after,
          after: there.budgetExhausted.before,
        })
        expect(back.constraints).toEqual(
          there.constraints.map(({ name, before, after }) => ({ name, before: after, after: before })),
        )
        const pairs = (report: typeof there, turned: boolean) =>
          Object.fromEntries(
            report.moves.map(({ before, after, decisions, moved }) => [
              turned ? `${after} ${before}` : `${before} ${after}`,
              [decisions, moved],
            ]),
          )
        expect(pairs(back, true)).toEqual(pairs(there, false))
        expect(back.sample.map(({ stepId, before, after }) => [stepId, before.model, after.model])).toEqual(
          there.sample.map(({ stepId, before, after }) => [stepId, after.model, before.model]),
        )
      }),
      { numRuns: 30 },
    )
  })
})
