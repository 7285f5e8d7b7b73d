import { describe, expect, test, vi } from 'vitest'
import type { Account, Budgets, ReserveAnswer, Standing } from '#lib/ledger/budgets'
import { decide } from '#lib/routing/decide'
import { makeFacts, makePolicy } from '../../lib/routing/make-facts.ts'
import { decideWithinBudget } from '../../../services/classifier/decide-within-budget.ts'

const policy = makePolicy({
  rules: [{ name: 'up', when: {}, choose: { tier: 'frontier' } }],
  budget: { waitMs: 1_000 },
})
const facts = makeFacts()
const { boundMicroUsd: bound } = decide(facts, { ...noMoneyMatters() }, policy)
const step = { tenantId: 'acme', taskId: 't', origin: 'agent.steps/0/1', attempt: 1, tools: [] }
const named = { taskBudgetMicroUsd: 10 * bound }

function noMoneyMatters() {
  const unknown = { budgetLeftMicroUsd: null, failuresPpm: null, ledgerLagMs: null, taskLeftMicroUsd: null }
  return { nowMs: 1_800_000_000_000, unavailableModels: [], taskSteps: null, ...unknown }
}

const account = (settledMicroUsd: number, reservedMicroUsd: number): Account => ({
  capMicroUsd: 10 * bound,
  settledMicroUsd,
  reservedMicroUsd,
})
const standingAt = (task: Account): Standing => ({
  task,
  day: { capMicroUsd: null, settledMicroUsd: 0, reservedMicroUsd: 0 },
  taskSteps: 0,
  heldMicroUsd: 0,
  failuresPpm: {},
})
const refusedAt = (task: Account): ReserveAnswer => ({ state: 'refused', ...standingAt(task) })

/** A ledger that answers as it is told, the last answer again and again; on a clock that each poll moves. */
function ledger(standings: Standing[], answers: ReserveAnswer[]) {
  let nowMs = 1_800_000_000_000
  const next = <T>(list: T[]): T => (list.length > 1 ? list.shift()! : list[0]!)
  const reserve = vi.fn<Budgets['reserve']>(() => Promise.resolve(next(answers)))
  const read = vi.fn<Budgets['read']>(() => {
    nowMs += 150
    return Promise.resolve(next(standings))
  })
  return { budgets: { read, reserve }, ledgerLagMs: () => 7, unreachableModels: () => [], nowMs: () => nowMs }
}

const held: ReserveAnswer = { state: 'held', heldSinceMs: 42 }

describe('a decision within its budget', () => {
  test('holds its bound, and says since when and how far the ledger was behind', async () => {
    const deps = ledger([standingAt(account(0, 0))], [held])
    const decided = await decideWithinBudget(deps, step, facts, named, policy)
    expect(decided).toMatchObject({ reservedAtMs: 42, rounds: 1, waitedMs: 0, taskCapMicroUsd: 10 * bound })
    expect(decided.outcome).toMatchObject({ tier: 'frontier', boundMicroUsd: bound })
    expect(decided.snapshot).toMatchObject({ budgetLeftMicroUsd: 10 * bound, ledgerLagMs: 7 })
    expect(deps.budgets.reserve).toHaveBeenCalledWith(
      expect.objectContaining(step),
      bound,
      expect.anything(),
      expect.anything(),
    )
  })

  test('is made again on what a refusal saw, and comes out of the record as it was', async () => {
    const deps = ledger([standingAt(account(0, 0))], [refusedAt(account(9.5 * bound, 0)), held])
    const { outcome, snapshot, rounds, reservedAtMs } = await decideWithinBudget(deps, step, facts, named, policy)
    expect([outcome.tier, rounds, reservedAtMs]).toEqual(['oss', 1, 0])
    expect(outcome.reasons).toContain('budget_exhausted')
    expect(decide(facts, snapshot, policy)).toEqual(outcome)
  })

  test('counts as exhausted after three refusals', async () => {
    const deps = ledger([standingAt(account(0, 0))], [refusedAt(account(0, 0))])
    const { outcome, snapshot, rounds } = await decideWithinBudget(deps, step, facts, named, policy)
    expect([outcome.tier, rounds, snapshot.budgetLeftMicroUsd]).toEqual(['oss', 3, 0])
  })

  test('waits for what others hold and may not spend, as long as the policy says', async () => {
    const settles = ledger([standingAt(account(0, 10 * bound)), standingAt(account(bound, 0))], [held])
    const waited = await decideWithinBudget(settles, step, facts, named, policy)
    expect(waited.outcome.tier).toBe('frontier')
    expect(waited.waitedMs).toBeGreaterThan(0)
    const never = ledger([standingAt(account(0, 10 * bound))], [held])
    const { outcome, waitedMs } = await decideWithinBudget(never, step, facts, named, policy)
    expect([outcome.tier, never.budgets.reserve.mock.calls.length]).toEqual(['oss', 0])
    expect(waitedMs).toBeGreaterThanOrEqual(900)
  })

  test('knows which models no worker can reach', async () => {
    const deps = {
      ...ledger([standingAt(account(0, 0))], [held]),
      unreachableModels: () => ['frontier-a', 'frontier-b'],
    }
    const { outcome, snapshot } = await decideWithinBudget(deps, step, facts, named, policy)
    expect([outcome.tier, snapshot.unavailableModels]).toEqual(['oss', ['frontier-a', 'frontier-b']])
    expect(outcome.reasons).toContain('breaker_open')
  })

  test('does not wait where the money that others hold would change nothing', async () => {
    const cheap = makePolicy({ budget: { waitMs: 1_000 } })
    const deps = ledger([standingAt(account(0, 10 * bound))], [held])
    const { outcome, waitedMs } = await decideWithinBudget(deps, step, facts, named, cheap)
    expect([outcome.tier, waitedMs]).toEqual(['oss', 0])
  })

  test('gives back what an earlier decision of the attempt holds, where the new one is not paid for', async () => {
    const deps = ledger([{ ...standingAt(account(0, 0)), heldMicroUsd: 5 }], [held])
    const cheap = makePolicy({})
    await decideWithinBudget(deps, step, facts, named, cheap)
    expect(deps.budgets.reserve).toHaveBeenCalledWith(
      expect.objectContaining(step),
      0,
      expect.anything(),
      expect.anything(),
    )
  })

  test('asks no ledger for a tenant that the policy does not know', async () => {
    const deps = ledger([standingAt(account(0, 0))], [held])
    const unknown = { ...facts, tenantId: 'nobody' }
    const { outcome } = await decideWithinBudget(deps, { ...step, tenantId: 'nobody' }, unknown, named, policy)
    expect([outcome.code, deps.budgets.read.mock.calls.length]).toEqual(['SHUNT_TENANT_UNKNOWN', 0])
  })
})
