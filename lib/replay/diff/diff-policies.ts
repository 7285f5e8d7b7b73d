import { setImmediate as nextTurn } from 'node:timers/promises'
import type { AuditSource } from '#lib/audit/source'
import { createStepJoin } from '#lib/audit/step-join'
import type { DecisionRecord } from '#lib/events/types.generated'
import type { CompiledPolicy } from '#lib/policy/compile-policy'
import type { LoadedPolicy } from '#lib/policy/load'
import { scorerOf, trainedHashOf } from '#lib/policy/scorer-choice'
import { decide, engineVersion } from '#lib/routing/decide'
import { createDayBook, nothingSpent, type DayBook } from './day-book.ts'
import { gatherSteps } from './gather-steps.ts'
import { redecideTask, type RedecideDeps } from './redecide-task.ts'
import type { Redecision } from './redecision.ts'
import type { ScoreTexts } from './score-texts.ts'
import { asksSameScorer } from './score-used.ts'
import { createTally, type DiffFigures } from './tally.ts'
import { appendScore, decodeGroup, readDecisions, readTaskLog, type TaskLogOptions } from './task-log.ts'
import { taskKeyBytes } from './task-row.ts'

export interface DiffDeps {
  source: Pick<AuditSource, 'codec' | 'audit' | 'feedback'>
  /** Policies that decided, by hash, hex. */
  recordedPolicy: (hash: string) => CompiledPolicy | undefined
  /** Scores by the new policy's scorer what texts are still kept. Null: no texts, or no scorer that runs here. */
  scoreTexts: ScoreTexts | null
}

export interface DiffOptions extends TaskLogOptions {
  policy: LoadedPolicy
  /** Which decisions are told of. All of the range are made again: a budget runs across them. */
  wants: (record: DecisionRecord) => boolean
  /** Changed steps to show. @default 20 */
  sample?: number
  /** Of the sample. @default 1 */
  seed?: number
  /** Groups to show of each grouping. @default 20 */
  groups?: number
  /** Most of the log's rows that are worked on in memory. @default 16 MiB */
  bucketBytes?: number
}

export interface DiffReport extends DiffFigures {
  policyHash: string
  /** Of the policy: what judges where no rule does. */
  scorer: { use: string; hash: string | null }
  engineVersion: number
  /** Records that cannot be decoded. */
  unreadable: number
  /** Tasks' parts that were worked on by themselves, since the task is too large: money is not carried across them. */
  taskParts: number
  /** Whether some tenant has a cap on its day, by which the range was gone through twice. */
  dayCaps: boolean
  /** Tenant-days for which no money was carried, since there were too many. */
  daysDropped: number
}

/** Between two of these the process looks at its signals. */
const groupsPerTurn = 100

/**
 * What another policy would have decided over a range, on the recorded facts and what the ledger would have known. Memory
 * stays the same however long the range is. Throws as the source does, and the signal's reason.
 */
export async function diffPolicies(deps: DiffDeps, options: DiffOptions): Promise<DiffReport> {
  const { policy, signal } = options
  using join = createStepJoin({ bucketBytes: options.bucketBytes ?? 16 * 2 ** 20, groupBytes: taskKeyBytes })
  const { decisions, unreadable } = await readTaskLog(deps.source, join, options)
  let undecodable = 0
  const redecideDeps = depsOf(deps, policy.policy)

  /** Everything again, from the rows on; each time with what the time before has told. */
  async function goThrough(what: string, day: DayBook | null, each: (redecision: Redecision) => void): Promise<void> {
    const task: RedecideDeps = {
      ...redecideDeps,
      ...(day && { dayBefore: (tenantId, atMs) => day.before(tenantId, atMs) }),
    }
    const progress = options.reading(what)
    progress.total(decisions)
    let [done, groups] = [0, 0]
    undecodable = 0
    try {
      for (const group of join.groups()) {
        if (groups++ % groupsPerTurn === 0) {
          await nextTurn()
          signal.throwIfAborted()
        }
        const rows = await decodeGroup(deps.source, group, () => (undecodable += 1))
        for (const redecision of redecideTask(task, gatherSteps(rows))) each(redecision)
        progress.at((done += rows.decisions.length))
      }
    } finally {
      progress.end()
    }
  }

  let tally = createTally(tallyOptions(options))
  let book = createDayBook()
  let [dayCaps, otherScorer] = [false, 0]
  const first = (redecision: Redecision): void => {
    const { tenantId, decision, score, before, after } = redecision
    otherScorer += Number(score === 'kept')
    if (redecideDeps.hasDayCap(redecision)) {
      dayCaps = true
      const spent = { recorded: before.cost.microUsd, next: after?.cost.microUsd ?? 0 }
      book.add(tenantId, decision.record.snapshot.nowMs, spent)
    }
    if (options.wants(decision.record)) tally.add(redecision)
  }
  await goThrough('deciding again', null, first)

  if (otherScorer > 0 && deps.scoreTexts) {
    const progress = options.reading('scoring anew')
    progress.total(otherScorer)
    let done = 0
    try {
      const isOther = (record: DecisionRecord): boolean => !redecideDeps.sameScorer(record)
      for await (const records of readDecisions(deps.source, options, isOther)) {
        for (const step of await deps.scoreTexts(records)) appendScore(join, step)
        progress.at((done += records.length))
      }
    } finally {
      progress.end()
    }
    tally = createTally(tallyOptions(options))
    book = createDayBook()
    await goThrough('deciding on new scores', null, first)
  }
  if (dayCaps) {
    tally = createTally(tallyOptions(options))
    await goThrough("deciding within the day's money", book, (redecision) => {
      if (options.wants(redecision.decision.record)) tally.add(redecision)
    })
  }

  return {
    policyHash: policy.hash,
    scorer: { use: scorerOf(policy.policy).use, hash: trainedHashOf(policy.policy) },
    engineVersion,
    unreadable: unreadable + undecodable,
    taskParts: join.parts,
    dayCaps,
    daysDropped: book.dropped,
    ...tally.figures(),
  }
}

function tallyOptions({ sample = 20, seed = 1, groups = 20 }: DiffOptions) {
  return { sample, seed, groups, engineVersion }
}

function depsOf({ recordedPolicy }: DiffDeps, policy: CompiledPolicy) {
  const known = new Map<string, CompiledPolicy | undefined>()
  function policyOf(hash: Buffer): CompiledPolicy | undefined {
    const hex = hash.toString('hex')
    if (!known.has(hex)) known.set(hex, recordedPolicy(hex))
    return known.get(hex)
  }
  const dayCapIn = (of: CompiledPolicy | undefined, tenantId: string): boolean =>
    (of?.index.tenants.get(tenantId)?.dayBudgetMicroUsd ?? null) !== null
  return {
    decide,
    policy,
    sameScorer: asksSameScorer(policy),
    recordedPolicy: policyOf,
    dayBefore: () => nothingSpent,
    hasDayCap: ({ tenantId, decision }: Redecision): boolean =>
      dayCapIn(policy, tenantId) || dayCapIn(policyOf(decision.record.policyHash), tenantId),
  }
}
