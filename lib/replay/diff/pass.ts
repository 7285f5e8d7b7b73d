import { setImmediate as nextTurn } from 'node:timers/promises'
import type { AuditSource } from '#lib/audit/source'
import type { StepJoin } from '#lib/audit/step-join'
import type { DecisionRecord } from '#lib/events/types.generated'
import { createDayBook, type ClosedDayBook, type DayBook } from './day-book.ts'
import { gatherSteps } from './gather-steps.ts'
import { redecideTask, type RedecideDeps } from './redecide-task.ts'
import { createTally, type DiffFigures, type TallyOptions } from './tally.ts'
import { decodeGroup } from './task-log.ts'

export interface PassDeps extends RedecideDeps {
  source: Pick<AuditSource, 'codec'>
  join: Pick<StepJoin, 'groups'>
  /** Whether a cap on the tenant's day stands in the new policy, or stood in the one that decided. */
  hasDayCap: (record: DecisionRecord) => boolean
}

export interface PassOptions {
  tally: TallyOptions
  /** Which decisions are told of. */
  wants: (record: DecisionRecord) => boolean
  signal: AbortSignal
  onDecisions: (done: number) => void
}

/** What going through all rows once has told. */
export interface Pass {
  figures: DiffFigures
  /** Rows that cannot be decoded. */
  unreadable: number
  /** Decisions for which another scorer is asked, and there is no answer of it. */
  otherScorer: number
  /** Money of tenants whose day is capped; null where none is. */
  days: ClosedDayBook | null
}

/** Between two of these the process looks at its signals. */
const groupsPerTurn = 100

/** Makes every decision of the join again and counts what comes out. Throws the signal's reason. */
export async function goThrough(deps: PassDeps, options: PassOptions): Promise<Pass> {
  const tally = createTally(options.tally)
  let days: DayBook | null = null
  let [groups, decisions, unreadable, otherScorer] = [0, 0, 0, 0]
  for (const group of deps.join.groups()) {
    if (groups++ % groupsPerTurn === 0) {
      await nextTurn()
      options.signal.throwIfAborted()
    }
    const rows = await decodeGroup(deps.source, group, () => (unreadable += 1))
    for (const redecision of redecideTask(deps, gatherSteps(rows))) {
      const { tenantId, score, before, after, decision } = redecision
      otherScorer += Number(score === 'kept')
      if (deps.hasDayCap(decision.record)) {
        const spent = { recorded: before.cost.microUsd, next: after?.cost.microUsd ?? 0 }
        days ??= createDayBook()
        days.add(tenantId, decision.record.snapshot.nowMs, spent)
      }
      if (options.wants(decision.record)) tally.add(redecision)
    }
    options.onDecisions((decisions += rows.decisions.length))
  }
  return { figures: tally.figures(), unreadable, otherScorer, days: days && days.close() }
}
