import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { DecisionRecord } from '#lib/events/types.generated'
import type { CompiledPolicy } from '#lib/policy/compile-policy'
import { anyFacts, anyPolicy, anySnapshot } from '../../routing/arbitraries.ts'
import { entriesOf, loadedAs, recordStep } from './recorded.ts'
import { runDiff } from './run-diff.ts'

interface AnyStep {
  task: number
  partition: number
  facts: DecisionRecord['facts']
  snapshot: DecisionRecord['snapshot']
  costMicroUsd: number | null
}

const anySteps: fc.Arbitrary<AnyStep[]> = fc.array(
  fc.record({
    task: fc.nat(3),
    partition: fc.nat(2),
    facts: anyFacts,
    snapshot: anySnapshot,
    costMicroUsd: fc.option(fc.nat(10_000)),
  }),
  { minLength: 1, maxLength: 12 },
)

/** As the policy really decides them; who scored is the policy's own scorer. */
function recorded(policy: CompiledPolicy, steps: readonly AnyStep[]) {
  const loaded = loadedAs(policy)
  const records = steps.map(({ task, facts, snapshot, costMicroUsd }, i) =>
    recordStep(loaded, {
      stepId: `s-${i}`,
      offset: i,
      taskId: `task-${task}`,
      facts: { ...facts, scoredBy: 'hand_weighted', scorerFallback: null },
      snapshot,
      call: costMicroUsd === null ? null : { costMicroUsd },
    }),
  )
  return { loaded, records }
}

describe('for any policies and any steps', () => {
  test('the same policy and scorer move nothing, and cost the same', async () => {
    await fc.assert(
      fc.asyncProperty(anyPolicy, anySteps, async (policy, steps) => {
        const { loaded, records } = recorded({ ...policy, scorer: undefined }, steps)
        const report = await runDiff({ audit: await entriesOf(records) }, loaded, [loaded])
        expect(report.moved).toEqual({ tier: 0, model: 0 })
        expect(report.cost.afterMicroUsd).toBe(report.cost.beforeMicroUsd)
        expect(report.reasons).toEqual({ gained: [], lost: [] })
        expect(report.budgetExhausted.after).toBe(report.budgetExhausted.before)
        expect(report.residency.leaving).toBe(0)
        expect(report.sample).toEqual([])
      }),
      { numRuns: 30 },
    )
  })

  test('moves, groups and what was left out sum up to the whole', async () => {
    await fc.assert(
      fc.asyncProperty(anyPolicy, anyPolicy, anySteps, async (policy, next, steps) => {
        const { loaded, records } = recorded(policy, steps)
        const report = await runDiff({ audit: await entriesOf(records) }, loadedAs(next), [loaded])
        const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0)
        expect(report.decisions + report.leftOut.decisions).toBe(steps.length)
        expect(sum(report.moves.map(({ decisions }) => decisions))).toBe(report.decisions)
        expect(sum(report.moves.map(({ moved }) => moved))).toBe(report.moved.tier + report.moved.model)
        expect(sum(report.modelMoves.map(({ decisions }) => decisions))).toBe(report.moved.tier + report.moved.model)
        expect(sum(report.causes.map(({ count }) => count))).toBe(report.moved.tier + report.moved.model)
        expect(sum(report.moves.map(({ costAfterMicroUsd }) => costAfterMicroUsd))).toBe(report.cost.afterMicroUsd)
        expect(
          sum(report.moves.map(({ costBeforeMicroUsd }) => costBeforeMicroUsd)) + report.leftOut.costMicroUsd,
        ).toBe(report.cost.beforeMicroUsd)
        for (const { groups, rest } of Object.values(report.groups)) {
          expect(sum(groups.map(({ decisions }) => decisions)) + (rest?.decisions ?? 0)).toBe(steps.length)
          expect(sum(groups.map(({ costAfterMicroUsd }) => costAfterMicroUsd))).toBe(report.cost.afterMicroUsd)
        }
      }),
      { numRuns: 30 },
    )
  })

  test('neither the interleaving of partitions nor how the join is divided changes the report', async () => {
    await fc.assert(
      fc.asyncProperty(anyPolicy, anyPolicy, anySteps, fc.nat(), async (policy, next, steps, turn) => {
        const { loaded, records } = recorded(policy, steps)
        const audit = await entriesOf(records, (index) => steps[index]!.partition)
        const by = (order: readonly number[]) =>
          order.flatMap((partition) => audit.filter((e) => e.partition === partition))
        const orders = [
          [0, 1, 2],
          [2, 0, 1],
          [1, 2, 0],
        ]
        const known = [loaded]
        const one = await runDiff({ audit: by(orders[0]!) }, loadedAs(next), known)
        const other = await runDiff({ audit: by(orders[1 + (turn % 2)]!) }, loadedAs(next), known, {
          bucketBytes: 100_000,
        })
        expect(other).toEqual({ ...one, taskParts: other.taskParts })
      }),
      { numRuns: 25 },
    )
  })
})
