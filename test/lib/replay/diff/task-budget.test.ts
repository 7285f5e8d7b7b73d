import fc from 'fast-check'
import { expect, test } from 'vitest'
import { costMicroUsd } from '#lib/models/prices'
import type { LoadedPolicy } from '#lib/policy/load'
import { decide } from '#lib/routing/decide'
import { makeFacts, makePolicy, makeSnapshot, nowMs } from '../../routing/make-facts.ts'
import { entriesOf, loadedAs, recordStep } from './recorded.ts'
import { runDiff } from './run-diff.ts'

const anyCap = fc.constantFrom(null, 1_500, 3_000, 6_000, 12_000)
const anySteps = fc.array(
  fc.record({
    task: fc.nat(1),
    pSuccessPpm: fc.constantFrom(0, 300_000, 700_000, 1_000_000),
    namedCapMicroUsd: anyCap,
    promptTokens: fc.integer({ min: 1, max: 100 }),
    completionTokens: fc.integer({ min: 1, max: 100 }),
  }),
  { minLength: 1, maxLength: 12 },
)
type Step = typeof anySteps extends fc.Arbitrary<(infer T)[]> ? T : never

const policyOf = (taskBudgetMicroUsd: number | null, pSuccessPpm: number): LoadedPolicy =>
  loadedAs(
    makePolicy({ tenants: [{ id: 'acme', taskBudgetMicroUsd }], threshold: { pSuccessPpm, budgetScarcityPpm: 0 } }),
  )

/** What a policy does, one step settled before the next: a task's cap is the least that was named so far. */
function run({ policy }: LoadedPolicy, steps: readonly Step[]) {
  const tasks = new Map<number, { capMicroUsd: number; spentMicroUsd: number }>()
  return steps.map((step, i) => {
    const task = tasks.get(step.task) ?? { capMicroUsd: Infinity, spentMicroUsd: 0 }
    tasks.set(step.task, task)
    for (const cap of [step.namedCapMicroUsd, policy.tenants[0]!.taskBudgetMicroUsd])
      if (cap !== null) task.capMicroUsd = Math.min(task.capMicroUsd, cap)
    const left = task.capMicroUsd - task.spentMicroUsd
    const known = left === Infinity ? null : Math.max(0, left)
    const facts = makeFacts({
      receivedAtMs: nowMs + i,
      pSuccessPpm: step.pSuccessPpm,
      taskBudgetMicroUsd: step.namedCapMicroUsd,
    })
    const snapshot = makeSnapshot({
      nowMs: nowMs + i,
      taskSteps: i,
      taskLeftMicroUsd: known,
      budgetLeftMicroUsd: known,
    })
    const { model } = decide(facts, snapshot, policy)
    const { price } = policy.index.models.get(model!)!.model
    const cost = costMicroUsd(price, step.promptTokens, step.completionTokens)
    task.spentMicroUsd += cost
    return { facts, snapshot, model, cost, isOverdrawn: left < 0 }
  })
}

test('step by step of a task, the diff says what the other policy would have done', async () => {
  const anyThreshold = fc.constantFrom(100_000, 500_000, 900_000)
  await fc.assert(
    fc.asyncProperty(
      fc.tuple(anyCap, anyThreshold),
      fc.tuple(anyCap, anyThreshold),
      anySteps,
      async (before, after, steps) => {
        const [recordedBy, next] = [policyOf(...before), policyOf(...after)]
        const was = run(recordedBy, steps)
        const is = run(next, steps)
        // A snapshot does not say by how much: then the diff cannot either.
        fc.pre(!was.some(({ isOverdrawn }) => isOverdrawn))
        const records = was.map(({ facts, snapshot }, i) => {
          const { task, promptTokens, completionTokens } = steps[i]!
          const call = { promptTokens, completionTokens }
          return recordStep(recordedBy, { stepId: `s-${i}`, offset: i, taskId: `t-${task}`, facts, snapshot, call })
        })
        const report = await runDiff({ audit: await entriesOf(records) }, next, [recordedBy], { sample: 100 })
        const moved = is.flatMap(({ model }, i) => (model === was[i]!.model ? [] : [`s-${i} ${model}`]))
        expect(report.sample.map(({ stepId, after: { model } }) => `${stepId} ${model}`).toSorted()).toEqual(
          moved.toSorted(),
        )
        const sum = (costs: typeof was) => costs.reduce((total, { cost }) => total + cost, 0)
        expect(report.cost).toEqual({ beforeMicroUsd: sum(was), afterMicroUsd: sum(is) })
      },
    ),
    { numRuns: 100 },
  )
})
