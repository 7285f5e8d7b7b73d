import { describe, expect, test } from 'vitest'
import { gatherSteps } from '#lib/replay/diff/gather-steps'
import { makePolicy, nowMs } from '../../routing/make-facts.ts'
import { loadedAs, recordStep, type StepSpec } from './recorded.ts'

const policy = loadedAs(makePolicy())
const place = { partition: 0, offset: 0 }
const recorded = (spec: StepSpec) => recordStep(policy, spec)
const decided = (...specs: StepSpec[]) => specs.map((spec) => ({ record: recorded(spec).decision, place }))
const verdict = (atMs: number, right: boolean) => ({
  tenantId: 'acme',
  stepId: 's',
  verdict: right ? ('right' as const) : ('wrong' as const),
  atMs,
})
const nothing = { attempts: [], verdicts: [], scores: [] }

describe('the steps of a task', () => {
  test('have their attempts in order, whatever order the rows come in', () => {
    const decisions = decided({ stepId: 's', attempt: 3 }, { stepId: 's', attempt: 1 }, { stepId: 's', attempt: 2 })
    const [step] = gatherSteps({ ...nothing, decisions })
    expect(step!.decisions.map(({ record }) => record.attempt)).toEqual([1, 2, 3])
  })

  test('bear the money of lost calls, and what the last call brought', () => {
    const { decision, attempt } = recorded({ stepId: 's', call: { costMicroUsd: 5, verdict: 'ok' } })
    const lost = {
      ...attempt!,
      ends: false,
      attempt: { ...attempt!.attempt, costMicroUsd: 7, verdict: 'backend_timeout' },
    }
    for (const attempts of [
      [lost, attempt!],
      [attempt!, lost],
    ]) {
      const [step] = gatherSteps({ ...nothing, decisions: [{ record: decision, place }], attempts })
      expect(step!.decisions[0]!.attempt).toMatchObject({ costMicroUsd: 12, verdict: 'ok' })
    }
  })

  test('of one id are told apart by their records: a verdict is on the last one before it', () => {
    const decisions = decided(
      { stepId: 's', offset: 1, snapshot: { nowMs } },
      { stepId: 's', offset: 2, snapshot: { nowMs: nowMs + 1_000 } },
    )
    const verdictsOf = (...verdicts: ReturnType<typeof verdict>[]) =>
      gatherSteps({ ...nothing, decisions, verdicts }).map(({ right }) => right)
    expect(verdictsOf(verdict(nowMs + 500, true))).toEqual([true, null])
    expect(verdictsOf(verdict(nowMs + 1_500, true))).toEqual([null, true])
    // Of several the last counts; one before all is on the first.
    expect(verdictsOf(verdict(nowMs + 900, false), verdict(nowMs + 500, true))).toEqual([false, null])
    expect(verdictsOf(verdict(nowMs - 5, true))).toEqual([true, null])
  })

  test('without a decision in the range are left out', () => {
    const { attempt } = recorded({ stepId: 's' })
    expect(gatherSteps({ ...nothing, decisions: [], attempts: [attempt!], verdicts: [verdict(nowMs, true)] })).toEqual(
      [],
    )
  })
})
