import type { LedgerSnapshot } from '#lib/events/types.generated'
import type { NamedCaps } from '#lib/ledger/budgets'

/** One account of the ledger, as far as the range shows. Micro-USD. */
export interface Spent {
  /** By what was recorded. */
  recorded: number
  /** By the new policy. */
  next: number
}

export interface BudgetShift {
  /** As steps and policy named them: a task's is the least that any of its steps named so far. */
  recorded: NamedCaps
  /** As the same steps and the new policy name them. */
  next: NamedCaps
  /** Before this decision. */
  task: Spent
  day: Spent
  /** Steps of the task that were decided before, in the range. */
  taskSteps: number
}

/**
 * What the ledger would have said under the new policy: the recorded snapshot, with what is left shifted by the difference
 * of the caps and by what the new policy would have spent more or less before. Where nothing differs it is the very
 * snapshot, so that the same policy decides the same.
 *
 * What is approximate: a cap that was not there before leaves only the range's own money to count from; an operator's
 * order on a task counts on as a shift; money that others held at the time counts as they later spent it.
 */
export function shiftBudget(snapshot: LedgerSnapshot, shift: BudgetShift): LedgerSnapshot {
  // No ledger was asked: the caps then hold for this step alone, and decide() reads them from the policy.
  if (snapshot.taskSteps === null) return snapshot
  const { recorded, next, task, day } = shift
  const taskLeft = shiftLeft(snapshot.taskLeftMicroUsd, recorded.taskMicroUsd, next.taskMicroUsd, task)
  const recordedDay = recordedDayLeft(snapshot, recorded.dayMicroUsd, day.recorded)
  const dayLeft = shiftLeft(recordedDay, recorded.dayMicroUsd, next.dayMicroUsd, day)
  if (taskLeft === snapshot.taskLeftMicroUsd && dayLeft === recordedDay) return snapshot
  return {
    ...snapshot,
    taskLeftMicroUsd: taskLeft,
    budgetLeftMicroUsd: least(taskLeft, dayLeft),
    // The ledger counts steps of tasks with a cap alone.
    taskSteps: snapshot.taskLeftMicroUsd === null ? shift.taskSteps : snapshot.taskSteps,
  }
}

function shiftLeft(left: number | null, cap: number | null, nextCap: number | null, spent: Spent): number | null {
  const more = spent.next - spent.recorded
  if (cap === nextCap) {
    // An operator's own cap stands here where neither policy names one.
    if (left === null || more === 0) return left
    return Math.max(0, left - more)
  }
  if (nextCap === null) return null
  if (left === null || cap === null) return Math.max(0, nextCap - spent.next)
  return Math.max(0, left + nextCap - cap - more)
}

/** The snapshot names the lesser of both accounts: where that is the task's, the day's is known to be no less. */
function recordedDayLeft(
  { budgetLeftMicroUsd: left, taskLeftMicroUsd: taskLeft }: LedgerSnapshot,
  dayCap: number | null,
  spent: number,
): number | null {
  if (left === null || left !== taskLeft) return left
  return dayCap === null ? null : Math.max(left, dayCap - spent)
}

function least(a: number | null, b: number | null): number | null {
  return a === null ? b : b === null ? a : Math.min(a, b)
}
