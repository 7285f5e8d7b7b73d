import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { shiftBudget, type BudgetShift } from '#lib/replay/diff/shift-budget'
import { anySnapshot } from '../../routing/arbitraries.ts'
import { makeSnapshot } from '../../routing/make-facts.ts'

const none = { recorded: 0, next: 0 }
const uncapped = { taskMicroUsd: null, dayMicroUsd: null }

function shift(change: Partial<BudgetShift> = {}): BudgetShift {
  return { recorded: uncapped, next: uncapped, task: none, day: none, taskSteps: 3, ...change }
}

function left(task: number | null, both: number | null = task) {
  return makeSnapshot({ taskSteps: 2, taskLeftMicroUsd: task, budgetLeftMicroUsd: both })
}

describe('what the ledger would have said', () => {
  test('is the very snapshot where neither caps nor spending differ', () =>
    fc.assert(
      fc.property(anySnapshot, fc.option(fc.nat()), fc.option(fc.nat()), fc.nat(), (snapshot, task, day, spent) => {
        const caps = { taskMicroUsd: task, dayMicroUsd: day }
        const same = { recorded: spent, next: spent }
        expect(shiftBudget(snapshot, shift({ recorded: caps, next: caps, task: same, day: same }))).toBe(snapshot)
      }),
    ))

  test('is never less than nothing', () =>
    fc.assert(
      fc.property(anySnapshot, fc.option(fc.nat()), fc.option(fc.nat()), fc.nat(), (snapshot, cap, nextCap, spent) => {
        const shifted = shiftBudget(
          snapshot,
          shift({
            recorded: { taskMicroUsd: cap, dayMicroUsd: cap },
            next: { taskMicroUsd: nextCap, dayMicroUsd: nextCap },
            task: { recorded: 0, next: spent },
          }),
        )
        expect(shifted.budgetLeftMicroUsd ?? 0).toBeGreaterThanOrEqual(0)
        expect(shifted.taskLeftMicroUsd ?? 0).toBeGreaterThanOrEqual(0)
      }),
    ))

  test('moves with the cap and against what is spent more', () => {
    const caps = (taskMicroUsd: number) => ({ ...uncapped, taskMicroUsd })
    const moved = (change: Partial<BudgetShift>) => shiftBudget(left(100), shift({ recorded: caps(500), ...change }))
    expect(moved({ next: caps(450) })).toMatchObject({ taskLeftMicroUsd: 50, budgetLeftMicroUsd: 50 })
    expect(moved({ next: caps(450), task: { recorded: 10, next: 30 } })).toMatchObject({ taskLeftMicroUsd: 30 })
    expect(moved({ next: caps(500), task: { recorded: 30, next: 10 } })).toMatchObject({ taskLeftMicroUsd: 120 })
    expect(moved({ next: uncapped })).toMatchObject({ taskLeftMicroUsd: null, budgetLeftMicroUsd: null })
  })

  test('counts a new cap from what the range shows, with the steps that it shows', () => {
    const next = { ...uncapped, taskMicroUsd: 500 }
    const shifted = shiftBudget(left(null), shift({ next, task: { recorded: 400, next: 120 } }))
    expect(shifted).toMatchObject({ taskLeftMicroUsd: 380, budgetLeftMicroUsd: 380, taskSteps: 3 })
  })

  test("takes a day's account for no narrower than it was known to be", () => {
    const day = (dayMicroUsd: number | null) => ({ taskMicroUsd: 500, dayMicroUsd })
    // The day is what the lesser number is of.
    expect(shiftBudget(left(300, 100), shift({ recorded: day(1_000), next: day(950) }))).toMatchObject({
      taskLeftMicroUsd: 300,
      budgetLeftMicroUsd: 50,
    })
    // The task is: of the day nothing more is known than what the range shows.
    const hidden = shift({ recorded: day(1_000), next: day(900), day: { recorded: 100, next: 100 } })
    expect(shiftBudget(left(300), hidden)).toMatchObject({ taskLeftMicroUsd: 300, budgetLeftMicroUsd: 300 })
  })
})
