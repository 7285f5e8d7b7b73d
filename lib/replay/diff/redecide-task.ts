import type { DecisionRecord } from '#lib/events/types.generated'
import { namedCaps } from '#lib/ledger/named-caps'
import type { NamedCaps } from '#lib/ledger/budgets'
import type { CompiledPolicy } from '#lib/policy/compile-policy'
import type { Engine } from '#lib/routing/decide'
import { nextCost, recordedCost } from './cost-of.ts'
import { knownAnswer } from './known-answer.ts'
import type { RecordedDecision, RecordedStep } from './recorded-step.ts'
import { isMoved, standingOf, type Redecision, type Side } from './redecision.ts'
import { homeRegions, regionsLeft, regionsOf } from './regions.ts'
import { withScore, type AsksSameScorer } from './score-used.ts'
import { shiftBudget, type Spent } from './shift-budget.ts'

export interface RedecideDeps {
  /** The newest engine. */
  decide: Engine
  /** The new policy. */
  policy: CompiledPolicy
  sameScorer: AsksSameScorer
  /** Policies that decided, by hash; undefined: not in the log any more. */
  recordedPolicy: (hash: Buffer) => CompiledPolicy | undefined
  /** Money of the tenant's day before. */
  dayBefore: (tenantId: string, atMs: number) => Spent
}

const noCaps: NamedCaps = { taskMicroUsd: null, dayMicroUsd: null }

/** What a task's decisions so far, in the range, left in its account. */
interface TaskBefore {
  spent: Spent
  /** The least that any of its steps named so far: the ledger keeps to it. */
  leastCap: { recorded: number | null; next: number | null }
  steps: Set<RecordedStep>
}

/**
 * Decides the steps of a task again (of several, where their rows came together), in the order in which they were decided:
 * what the new policy spends more or less on one of them is there for the next. A later attempt exists only since the one
 * before failed; it is decided again where all earlier ones go to the model that they went to.
 */
export function redecideTask(deps: RedecideDeps, steps: readonly RecordedStep[]): Redecision[] {
  const inOrder = steps.flatMap((step) => step.decisions.map((decision) => ({ step, decision })))
  if (inOrder.length > 1) inOrder.sort((a, b) => byTime(a.decision.record, b.decision.record))
  const tasks = new Map<string, TaskBefore>()
  const moved = new Set<RecordedStep>()

  return inOrder.map(({ step, decision }) => {
    const { record } = decision
    const key = `${step.tenantId}\0${record.taskId}`
    let task = tasks.get(key)
    if (!task) {
      task = { spent: { recorded: 0, next: 0 }, leastCap: { recorded: null, next: null }, steps: new Set() }
      tasks.set(key, task)
    }
    task.leastCap.recorded = least(task.leastCap.recorded, record.taskCapMicroUsd)
    task.leastCap.next = least(task.leastCap.next, capsOf(record, deps.policy).taskMicroUsd)
    const redecision = redecide(deps, step, decision, task, moved.has(step))
    task.steps.add(step)
    const { before, after } = redecision
    if (after && isMoved(before, after)) moved.add(step)
    task.spent.recorded += before.cost.microUsd
    task.spent.next += after?.cost.microUsd ?? 0
    return redecision
  })
}

function redecide(
  deps: RedecideDeps,
  step: RecordedStep,
  decision: RecordedDecision,
  { spent, leastCap, steps }: TaskBefore,
  isLeftOut: boolean,
): Redecision {
  const { record, attempt } = decision
  const { policy } = deps
  const { tenantId } = step
  const recordedPolicy = deps.recordedPolicy(record.policyHash)
  const before: Side = {
    outcome: record.outcome,
    standing: standingOf(record.outcome),
    cost: recordedCost(record.outcome, attempt),
    pSuccessPpm: record.facts.pSuccessPpm,
    gainPpm: record.facts.gainPpm,
  }
  const redecision = {
    taskId: record.taskId,
    tenantId,
    decision,
    before,
    recordedPolicyKnown: recordedPolicy !== undefined,
    ...knownAnswer(step, decision),
  }
  if (isLeftOut) return { ...redecision, after: null, score: 'same', regionsLeft: null }

  const { facts, score } = withScore(record, step.score, deps.sameScorer)
  const { dayMicroUsd } = capsOf(record, policy)
  const snapshot = shiftBudget(record.snapshot, {
    next: { taskMicroUsd: leastCap.next, dayMicroUsd },
    recorded: {
      taskMicroUsd: leastCap.recorded,
      dayMicroUsd: recordedPolicy ? capsOf(record, recordedPolicy).dayMicroUsd : dayMicroUsd,
    },
    task: spent,
    day: deps.dayBefore(tenantId, record.snapshot.nowMs),
    taskSteps: steps.size - Number(steps.has(step)),
  })
  const outcome = deps.decide(facts, snapshot, policy)
  const after: Side = {
    outcome,
    standing: standingOf(outcome),
    cost: nextCost(outcome, policy, decision, before.cost, recordedPolicy),
    pSuccessPpm: facts.pSuccessPpm,
    gainPpm: facts.gainPpm,
  }
  const from = regionsBefore(decision, recordedPolicy)
  const home = (): readonly string[] =>
    before.standing === 'frontier' ? homeRegions(record.facts, recordedPolicy ?? policy) : []
  const left = from === null ? null : regionsLeft(from, regionsOf(outcome, facts, policy), home)
  return { ...redecision, after, score, regionsLeft: left }
}

/** Where the step could go; null where nothing tells. Without its policy, where it did go. */
function regionsBefore(
  { record, attempt }: RecordedDecision,
  recordedPolicy: CompiledPolicy | undefined,
): readonly string[] | null {
  if (recordedPolicy) return regionsOf(record.outcome, record.facts, recordedPolicy)
  if (record.outcome.action !== 'route') return []
  return attempt && attempt.region !== '' ? [attempt.region] : null
}

function least(a: number | null, b: number | null): number | null {
  return a === null ? b : b === null ? a : Math.min(a, b)
}

function capsOf(record: DecisionRecord, { index }: CompiledPolicy): NamedCaps {
  const tenant = index.tenants.get(record.facts.tenantId)
  return tenant ? namedCaps(record.facts, tenant) : noCaps
}

/** Of one moment: by where the step lies, so that the order does not hang on how the log was read. */
function byTime(a: DecisionRecord, b: DecisionRecord): number {
  return (
    a.snapshot.nowMs - b.snapshot.nowMs ||
    a.origin.partition - b.origin.partition ||
    a.origin.offset - b.origin.offset ||
    a.attempt - b.attempt
  )
}
