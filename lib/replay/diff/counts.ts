import { constraintReasons, type ConstraintReason } from '#lib/routing/reasons'
import { differencesOf, nameOfDifference } from './difference.ts'
import { isMoved, type CostBasis, type Redecision, type Side } from './redecision.ts'

export interface NamedCount {
  name: string
  count: number
}

export interface BeforeAfter {
  name: string
  before: number
  after: number
}

export interface ModelMove {
  /** Null: none. */
  before: string | null
  after: string | null
  decisions: number
  costBeforeMicroUsd: number
  costAfterMicroUsd: number
}

/** What is counted over all decisions that are compared. */
export interface Counts {
  /** Decided by another version of the engine than the one that makes them again: mostly an older one. */
  otherEngine: number
  /** The policy that decided is not in the log: its caps, prices and regions are not known. */
  recordedPolicyUnknown: number
  scores: { same: number; anew: number; kept: number }
  costBasis: { before: Record<CostBasis, number>; after: Record<CostBasis, number> }
  /** What of the cost afterwards is no recorded one. */
  estimatedMicroUsd: number
  /** Decisions from which a model was removed for want of money, or that say so. */
  budgetExhausted: { before: number; after: number }
  reasons: { gained: NamedCount[]; lost: NamedCount[] }
  /** Models removed by a constraint, each reason once a decision. */
  constraints: (BeforeAfter & { name: ConstraintReason })[]
  modelMoves: ModelMove[]
  /** What made steps move: the first difference of each. */
  causes: NamedCount[]
}

export interface Counter {
  add(redecision: Redecision): void
  counts(): Counts
}

/** Model ids are those of policies; a log of many policies may still hold many. */
const maxModelMoves = 1_000

export function createCounter(engineVersion: number): Counter {
  let otherEngine = 0
  let recordedPolicyUnknown = 0
  let estimatedMicroUsd = 0
  const scores = { same: 0, anew: 0, kept: 0 }
  const costBasis = { before: noBasis(), after: noBasis() }
  const budgetExhausted = { before: 0, after: 0 }
  const [gained, lost, causes] = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()]
  const constraints = new Map(Object.keys(constraintReasons).map((name) => [name, { before: 0, after: 0 }]))
  const modelMoves = new Map<string, ModelMove>()

  function countConstraints(side: Side, which: 'before' | 'after'): void {
    const { removed } = side.outcome
    for (const [index, { reason }] of removed.entries()) {
      const count = constraints.get(reason)
      if (count && removed.findIndex((other) => other.reason === reason) === index) count[which] += 1
    }
  }

  function countReasons(from: readonly string[], to: readonly string[], into: Map<string, number>): void {
    for (const reason of to) if (!from.includes(reason)) increase(into, reason)
  }

  function countModels({ before, after }: { before: Side; after: Side }): void {
    const [was, is] = [before.outcome.model, after.outcome.model]
    const key = JSON.stringify([was, is])
    let move = modelMoves.get(key)
    if (!move) {
      if (modelMoves.size >= maxModelMoves) return
      move = { before: was, after: is, decisions: 0, costBeforeMicroUsd: 0, costAfterMicroUsd: 0 }
      modelMoves.set(key, move)
    }
    move.decisions += 1
    move.costBeforeMicroUsd += before.cost.microUsd
    move.costAfterMicroUsd += after.cost.microUsd
  }

  return {
    add({ before, after, score, recordedPolicyKnown, decision: { record } }) {
      if (!after) return
      otherEngine += Number(record.engineVersion !== engineVersion)
      recordedPolicyUnknown += Number(!recordedPolicyKnown)
      scores[score] += 1
      costBasis.before[before.cost.basis] += 1
      costBasis.after[after.cost.basis] += 1
      if (after.cost.basis === 'estimate' || after.cost.basis === 'bound') estimatedMicroUsd += after.cost.microUsd
      budgetExhausted.before += Number(isExhausted(before))
      budgetExhausted.after += Number(isExhausted(after))
      countReasons(before.outcome.reasons, after.outcome.reasons, gained)
      countReasons(after.outcome.reasons, before.outcome.reasons, lost)
      countConstraints(before, 'before')
      countConstraints(after, 'after')
      if (!isMoved(before, after)) return
      countModels({ before, after })
      increase(causes, nameOfDifference(differencesOf(before, after)[0]!))
    },

    counts: () => ({
      otherEngine,
      recordedPolicyUnknown,
      scores: { ...scores },
      costBasis: { before: { ...costBasis.before }, after: { ...costBasis.after } },
      estimatedMicroUsd,
      budgetExhausted: { ...budgetExhausted },
      reasons: { gained: sorted(gained), lost: sorted(lost) },
      constraints: [...constraints].map(([name, count]) => ({ name: name as ConstraintReason, ...count })),
      modelMoves: [...modelMoves.values()].toSorted(
        (a, b) =>
          b.decisions - a.decisions ||
          (JSON.stringify([a.before, a.after]) < JSON.stringify([b.before, b.after]) ? -1 : 1),
      ),
      causes: sorted(causes),
    }),
  }
}

function isExhausted({ outcome: { reasons, removed } }: Side): boolean {
  return reasons.includes('budget_exhausted') || removed.some(({ reason }) => reason === 'budget_exhausted')
}

function noBasis(): Record<CostBasis, number> {
  return { recorded: 0, bound: 0, estimate: 0, none: 0 }
}

function increase(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1)
}

function sorted(counts: ReadonlyMap<string, number>): NamedCount[] {
  return [...counts]
    .map(([name, count]) => ({ name, count }))
    .toSorted((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1))
}
