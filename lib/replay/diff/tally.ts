import { changedStep, type ChangedStep } from './changed-step.ts'
import { createCounter, type Counts } from './counts.ts'
import { createGroupTallies, type GroupTally } from './group-tallies.ts'
import { createMoveTallies, type MoveTally } from './move-tally.ts'
import { isMoved, type Redecision } from './redecision.ts'
import { createSample } from './sample.ts'
import { createScoreBinning, type ScoreBins } from './score-bins.ts'

export interface TallyOptions {
  /** Changed steps to show. */
  sample: number
  seed: number
  /** Groups to show of each grouping; the rest is summed. */
  groups: number
  engineVersion: number
}

export interface GroupFigures {
  groups: GroupTally[]
  /** Of all others; null where all are shown. */
  rest: GroupTally | null
  restGroups: number
}

/** All that is counted over the redecisions of a range, in constant memory. */
export interface DiffFigures extends Counts {
  /** Of decisions that were made again. */
  decisions: number
  firstAtMs: number | null
  lastAtMs: number | null
  /** To another tier or to none, and to another model of the same tier. */
  moved: { tier: number; model: number }
  /** Later attempts that the new policy would not have come to. */
  leftOut: { decisions: number; costMicroUsd: number }
  /** Before: with what was left out. */
  cost: { beforeMicroUsd: number; afterMicroUsd: number }
  moves: MoveTally[]
  scoreBins: ScoreBins[]
  residency: {
    /** Decisions by which a step may go to a region where it could not go before. */
    leaving: number
    paths: { from: string; to: string; decisions: number }[]
    sample: ChangedStep[]
  }
  groups: { tenant: GroupFigures; kind: GroupFigures; requestedModel: GroupFigures }
  sample: ChangedStep[]
}

/** Regions are named by policies. */
const maxPaths = 1_000

export function createTally(options: TallyOptions) {
  const counter = createCounter(options.engineVersion)
  const moves = createMoveTallies()
  const scoreBins = createScoreBinning()
  const tenants = createGroupTallies()
  const kinds = createGroupTallies()
  const requestedModels = createGroupTallies()
  const sample = createSample<ChangedStep>(options.sample, options.seed)
  const leaving = createSample<ChangedStep>(options.sample, options.seed)
  const paths = new Map<string, { from: string; to: string; decisions: number }>()
  const moved = { tier: 0, model: 0 }
  const leftOut = { decisions: 0, costMicroUsd: 0 }
  const cost = { beforeMicroUsd: 0, afterMicroUsd: 0 }
  let [decisions, leavingCount, firstAtMs, lastAtMs] = [0, 0, Infinity, -Infinity]

  function countPath(from: string, to: string): void {
    const key = `${from}>${to}`
    let path = paths.get(key)
    if (!path && paths.size < maxPaths) paths.set(key, (path = { from, to, decisions: 0 }))
    if (path) path.decisions += 1
  }

  return {
    add(redecision: Redecision): void {
      const { before, after, decision, regionsLeft } = redecision
      const { facts, snapshot } = decision.record
      tenants.add(redecision.tenantId, redecision)
      kinds.add(facts.kind, redecision)
      requestedModels.add(facts.requestedModel ?? '', redecision)
      cost.beforeMicroUsd += before.cost.microUsd
      firstAtMs = Math.min(firstAtMs, snapshot.nowMs)
      lastAtMs = Math.max(lastAtMs, snapshot.nowMs)
      if (!after) {
        leftOut.decisions += 1
        leftOut.costMicroUsd += before.cost.microUsd
        return
      }
      decisions += 1
      cost.afterMicroUsd += after.cost.microUsd
      counter.add(redecision)
      moves.add(redecision)
      scoreBins.add(redecision)
      if (regionsLeft) {
        leavingCount += 1
        countPath(regionsLeft.from.join(', '), regionsLeft.to.join(', '))
        leaving.offer(keyOf(redecision), () => changedStep(redecision, after))
      }
      if (!isMoved(before, after)) return
      moved[before.standing === after.standing ? 'model' : 'tier'] += 1
      sample.offer(keyOf(redecision), () => changedStep(redecision, after))
    },

    figures(): DiffFigures {
      const { groups } = options
      return {
        decisions,
        firstAtMs: Number.isFinite(firstAtMs) ? firstAtMs : null,
        lastAtMs: Number.isFinite(lastAtMs) ? lastAtMs : null,
        moved: { ...moved },
        leftOut: { ...leftOut },
        cost: { ...cost },
        moves: moves.all(),
        residency: {
          leaving: leavingCount,
          paths: [...paths.values()].toSorted(
            (a, b) => b.decisions - a.decisions || (a.from + a.to < b.from + b.to ? -1 : 1),
          ),
          sample: leaving.items(),
        },
        ...counter.counts(),
        scoreBins: scoreBins.all(),
        groups: {
          tenant: tenants.top(groups),
          kind: kinds.top(groups),
          requestedModel: requestedModels.top(groups),
        },
        sample: sample.items(),
      }
    },
  }
}

function keyOf({ decision: { record } }: Redecision): string {
  const { topic, partition, offset } = record.origin
  return `${topic}/${partition}/${offset}/${record.attempt}`
}
