import { setTimeout as sleep } from 'node:timers/promises'
import type { AgentStep, DecisionOutcome, LedgerSnapshot, StepFacts } from '#lib/events/types.generated'
import { tenantOf } from '#lib/events/tenant'
import { budgetLeftOf, type Account, type Budgets, type LedgerStep, type Standing } from '#lib/ledger/budgets'
import { namedCaps } from '#lib/ledger/named-caps'
import type { CompiledPolicy } from '#lib/policy/compile-policy'
import { decide } from '#lib/routing/decide'
import { noLedger } from '#lib/routing/no-ledger'

export interface DecideWithinBudgetDeps {
  budgets: Budgets
  /** How far the ledger is behind the log; null where it does not say. */
  ledgerLagMs: () => number | null
  /** Models that no worker can reach at present. */
  unreachableModels: () => readonly string[]
  nowMs: () => number
}

/** A decision whose bound is held, with what it was made on. */
export interface HeldDecision {
  outcome: DecisionOutcome
  /** The last: what `decide` read. */
  snapshot: LedgerSnapshot
  /** 0 where nothing is held. */
  reservedAtMs: number
  taskCapMicroUsd: number | null
  rounds: number
  waitedMs: number
}

const maxRounds = 3
/** Between two looks at whether others have settled, ms. */
const pollMs = 100
const defaultWaitMs = 2_000

/**
 * Decides on what the ledger knows, and reserves what the decision may cost. Where that is refused, it decides again on
 * what the refusal saw, three times at most and then as if nothing were left. Where only what others hold, and may not
 * spend, stands in the way of another decision, it waits for them first, as long as the policy says.
 * Throws as Budgets does.
 */
export async function decideWithinBudget(
  { budgets, ledgerLagMs, unreachableModels, nowMs }: DecideWithinBudgetDeps,
  step: LedgerStep & { tools: readonly string[] },
  facts: StepFacts,
  named: Pick<AgentStep, 'taskBudgetMicroUsd'>,
  policy: CompiledPolicy,
): Promise<HeldDecision> {
  const tenant = tenantOf(policy, step.tenantId)
  if (!tenant) return withoutLedger(facts, nowMs(), policy)
  const caps = namedCaps(named, tenant)
  const models = policy.index.byTier.oss.map(({ model }) => model.id)
  const subjects = { taskId: step.taskId, kind: facts.kind, models, tools: step.tools }
  const startedAtMs = nowMs()
  const waitUntilMs = startedAtMs + (policy.budget.waitMs ?? defaultWaitMs)
  let rounds = 0
  let waitedMs = 0
  let standing = await budgets.read(step, caps, subjects, startedAtMs)
  let exhausted = false

  for (;;) {
    const unavailableModels = [...unreachableModels()]
    const snapshot = { ...snapshotOf(standing, nowMs(), exhausted), unavailableModels, ledgerLagMs: ledgerLagMs() }
    const outcome = decide(facts, snapshot, policy)
    const held = (reservedAtMs: number): HeldDecision => {
      return { outcome, snapshot, reservedAtMs, taskCapMicroUsd: caps.taskMicroUsd, rounds, waitedMs }
    }
    if (!exhausted && snapshot.nowMs < waitUntilMs && isHeldUp(outcome, standing, snapshot, facts, policy)) {
      await sleep(pollMs)
      standing = await budgets.read(step, caps, subjects, nowMs())
      waitedMs = nowMs() - startedAtMs
      continue
    }
    const boundMicroUsd = outcome.action === 'route' ? outcome.boundMicroUsd : 0
    if (boundMicroUsd === 0) {
      // Of a decision that was made before and never committed.
      if (standing.heldMicroUsd > 0) await budgets.reserve(step, 0, caps, nowMs())
      return held(0)
    }
    rounds += 1
    const answer = await budgets.reserve(step, boundMicroUsd, caps, snapshot.nowMs)
    if (answer.state === 'held') return held(answer.heldSinceMs)
    // The step is over: this lane is a zombie's, and will not commit.
    if (answer.state === 'ended') return held(snapshot.nowMs)
    standing = { ...standing, task: answer.task, day: answer.day }
    exhausted = rounds >= maxRounds
  }
}

function snapshotOf(
  { task, day, taskSteps, failuresPpm }: Standing,
  nowMs: number,
  exhausted: boolean,
): Omit<LedgerSnapshot, 'unavailableModels' | 'ledgerLagMs'> {
  return {
    nowMs,
    budgetLeftMicroUsd: exhausted ? 0 : budgetLeftOf(task, day),
    failuresPpm,
    taskLeftMicroUsd: exhausted && task.capMicroUsd !== null ? 0 : budgetLeftOf(task),
    taskSteps,
  }
}

/** Whether the step would go elsewhere if others gave back what they hold. */
function isHeldUp(
  outcome: DecisionOutcome,
  { task, day }: Standing,
  snapshot: LedgerSnapshot,
  facts: StepFacts,
  policy: CompiledPolicy,
): boolean {
  if (!outcome.removed.some(({ reason }) => reason === 'budget_exhausted')) return false
  const [freeTask, freeDay] = [withoutReserved(task), withoutReserved(day)]
  const budgetLeftMicroUsd = budgetLeftOf(freeTask, freeDay)
  if (budgetLeftMicroUsd === snapshot.budgetLeftMicroUsd) return false
  const freed = { ...snapshot, budgetLeftMicroUsd, taskLeftMicroUsd: budgetLeftOf(freeTask) }
  return decide(facts, freed, policy).model !== outcome.model
}

function withoutReserved(account: Account): Account {
  return { ...account, reservedMicroUsd: 0 }
}

/** Nobody keeps a ledger for a tenant that the policy does not know. */
function withoutLedger(facts: StepFacts, nowMs: number, policy: CompiledPolicy): HeldDecision {
  const snapshot = noLedger(nowMs)
  const outcome = decide(facts, snapshot, policy)
  return { outcome, snapshot, reservedAtMs: 0, taskCapMicroUsd: null, rounds: 0, waitedMs: 0 }
}
