import type { AuditSource } from '#lib/audit/source'
import { createStepJoin, type StepJoin } from '#lib/audit/step-join'
import type { DecisionRecord } from '#lib/events/types.generated'
import type { CompiledPolicy } from '#lib/policy/compile-policy'
import type { LoadedPolicy } from '#lib/policy/load'
import { scorerOf, trainedHashOf } from '#lib/policy/scorer-choice'
import { decide, engineVersion } from '#lib/routing/decide'
import { nothingSpent } from './day-book.ts'
import { goThrough, type Pass, type PassDeps } from './pass.ts'
import type { RedecideDeps } from './redecide-task.ts'
import type { ScoreTexts } from './score-texts.ts'
import { asksSameScorer } from './score-used.ts'
import type { DiffFigures, TallyOptions } from './tally.ts'
import { appendScore, inProgress, readDecisions, readTaskLog, type TaskLogOptions } from './task-log.ts'
import { taskKeyBytes } from './task-row.ts'

export interface DiffDeps {
  source: Pick<AuditSource, 'codec' | 'audit' | 'feedback'>
  /** Policies that decided, by hash, hex; asked for each decision. */
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

/**
 * What another policy would have decided over a range, on the recorded facts and what the ledger would have known. Memory
 * stays the same however long the range is. Throws as the source does, and the signal's reason.
 */
export async function diffPolicies(deps: DiffDeps, options: DiffOptions): Promise<DiffReport> {
  const { source } = deps
  const { policy } = options
  using join = createStepJoin({ bucketBytes: options.bucketBytes ?? 16 * 2 ** 20, groupBytes: taskKeyBytes })
  const { decisions, unreadable } = await readTaskLog(source, join, options)
  const passDeps: PassDeps = { source, join, ...redecideDeps(deps, policy.policy) }
  const pass = (what: string, more: Partial<PassDeps> = {}): Promise<Pass> =>
    inProgress(options.reading(what), (progress) => {
      progress.total(decisions)
      return goThrough({ ...passDeps, ...more }, { ...options, tally: tallyOptions(options), onDecisions: progress.at })
    })

  let told = await pass('deciding again')
  if (told.otherScorer > 0 && deps.scoreTexts) {
    await scoreAnew(source, deps.scoreTexts, join, { ...options, ...passDeps, total: told.otherScorer })
    told = await pass('deciding on new scores')
  }
  // A day's money runs across tasks: the first look tells what is spent, the second one decides with it.
  const { days } = told
  if (days) told = await pass("deciding within the day's money", { dayBefore: days.before, hasDayCap: () => false })

  return {
    policyHash: policy.hash,
    scorer: { use: scorerOf(policy.policy).use, hash: trainedHashOf(policy.policy) },
    engineVersion,
    unreadable: unreadable + told.unreadable,
    taskParts: join.parts,
    dayCaps: days !== null,
    daysDropped: days?.dropped ?? 0,
    ...told.figures,
  }
}

/** The answers of the new policy's scorer on what texts are still kept, into the join. */
function scoreAnew(
  source: DiffDeps['source'],
  scoreTexts: ScoreTexts,
  join: Pick<StepJoin, 'append'>,
  options: Pick<DiffOptions, 'range' | 'signal' | 'reading'> & Pick<PassDeps, 'sameScorer'> & { total: number },
): Promise<void> {
  return inProgress(options.reading('scoring anew'), async (progress) => {
    progress.total(options.total)
    let done = 0
    for await (const records of readDecisions(source, options, (record) => !options.sameScorer(record))) {
      for (const step of await scoreTexts(records)) appendScore(join, step)
      progress.at((done += records.length))
    }
  })
}

function tallyOptions({ sample = 20, seed = 1, groups = 20 }: DiffOptions): TallyOptions {
  return { sample, seed, groups, engineVersion }
}

function redecideDeps(
  { recordedPolicy }: DiffDeps,
  policy: CompiledPolicy,
): RedecideDeps & Pick<PassDeps, 'hasDayCap'> {
  const policyOf = (hash: Buffer): CompiledPolicy | undefined => recordedPolicy(hash.toString('hex'))
  const dayCapIn = (of: CompiledPolicy | undefined, tenantId: string): boolean =>
    (of?.index.tenants.get(tenantId)?.dayBudgetMicroUsd ?? null) !== null
  return {
    decide,
    policy,
    sameScorer: asksSameScorer(policy, policyOf),
    recordedPolicy: policyOf,
    dayBefore: () => nothingSpent,
    hasDayCap: ({ facts, policyHash }) =>
      dayCapIn(policy, facts.tenantId) || dayCapIn(policyOf(policyHash), facts.tenantId),
  }
}
