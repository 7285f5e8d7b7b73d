import type { Producer } from 'kafkajs'
import { ShuntError } from '#lib/errors'
import type { Logger } from '#lib/telemetry/logger'
import type { CommitTurns } from './commit-turns.ts'
import { isFenced, isRefusedRecord, kafkaErrorType } from './kafka-errors.ts'
import type { LaneProblem } from './lane-status.ts'
import type { OffsetTracker } from './offset-tracker.ts'
import { createOutbox, sealOutputs, tooLarge } from './outbox.ts'
import { encodeProgress } from './progress-codec.ts'
import type { StageMetrics } from './stage-metrics.ts'
import { commitTransaction } from './transaction.ts'
import type { Journal } from './types.ts'
import type { WorkItem } from './work-queue.ts'

/** Finished work of a lane on its way into transactions, one at a time. */
export interface LaneCommits {
  /** The lane is open: transactions are by this producer, and their audit links go on from this head. */
  start(by: Producer, head: string | null): void
  /** Lets go of the producer. */
  release(): Promise<void>
  /** The item goes into the next transaction. */
  push(item: WorkItem): void
  /** Drops what is committed, by us or by another. */
  remove(gone: (item: WorkItem) => boolean): void
  /** Commits at once where the lane was idle, and gathers for `commitIntervalMs` where it was not. */
  kick(): void
  /** Items that are finished and not in a transaction under way. */
  waiting(): number
  /** Resolves when the transaction under way has ended, well or not. */
  underWay(): Promise<void> | null
  /** Starts no more. */
  stop(): void
}

export interface LaneCommitsDeps {
  tracker: Pick<OffsetTracker, 'progress' | 'settle'>
  journal: Journal | undefined
  /** Shared with other lanes of which one at a time commits; undefined: whenever it is ready. */
  turns: CommitTurns | undefined
  isOpen: () => boolean
  /** Nothing more will come: no use to gather. */
  isDraining: () => boolean
  isClosed: () => boolean
  committed: (items: readonly WorkItem[]) => void
  /** The outcome is unknown, or another owns the lane: it must be opened anew. */
  failed: (problem: LaneProblem) => void
  /** What came of the item, taken out already, cannot be written. */
  refuse: (item: WorkItem, error: unknown) => void
  /** A transaction has ended, well or not. */
  ended: () => void
  metrics: StageMetrics | undefined
  nowMs: () => number
  log: Pick<Logger, 'info' | 'warn' | 'error'>
}

export function createLaneCommits(
  deps: LaneCommitsDeps,
  options: {
    name: string
    group: string
    topic: string
    partition: number
    commitIntervalMs: number
    /** Finished items for which it commits before the interval is over. */
    enough: number
  },
): LaneCommits {
  const { name, group, topic, partition } = options
  const at = { topic, partition }
  const outbox = createOutbox()
  let producer: Producer | null = null
  let head: string | null = null
  let committing: Promise<void> | null = null
  let lastCommitAtMs = 0
  let commitTimer: NodeJS.Timeout | null = null
  let commitSoon: NodeJS.Immediate | null = null

  function kick(): void {
    if (!deps.isOpen() || committing || outbox.size() === 0 || commitSoon) return
    const waitMs = lastCommitAtMs + options.commitIntervalMs - deps.nowMs()
    if (waitMs > 0 && !deps.isDraining() && !outbox.isFull() && outbox.size() < options.enough) {
      commitTimer ??= setTimeout(() => {
        commitTimer = null
        startCommit()
      }, waitMs)
      return
    }
    if (commitTimer) clearTimeout(commitTimer)
    commitTimer = null
    // Not right away: handlers that end in the same turn go together.
    commitSoon = setImmediate(() => {
      commitSoon = null
      startCommit()
    })
  }

  function startCommit(): void {
    if (!deps.isOpen() || committing || outbox.size() === 0 || !producer) return
    if (deps.turns?.take(startCommit) === false) return
    committing = commit(producer, outbox.take()).finally(() => {
      committing = null
      deps.turns?.pass()
      deps.ended()
      kick()
    })
  }

  async function commit(by: Producer, take: WorkItem[]): Promise<void> {
    const startedAtMs = deps.nowMs()
    lastCommitAtMs = startedAtMs
    const done = new Set(take.map((item) => item.record.offset))
    let isSealed = false
    try {
      const sealed = sealOutputs(deps.journal, name, head, take)
      isSealed = true
      const progress = deps.tracker.progress(done)
      const metadata = encodeProgress({ ...progress, head: sealed.head })
      await commitTransaction(by, sealed.records, { ...at, group, offset: progress.low, metadata })
      head = sealed.head
    } catch (error) {
      outbox.putBack(take)
      // Everything else is of the connection, the broker or kafkajs, which throws errors of any kind when a link breaks.
      const ofTheRecords = !isSealed || isRefusedRecord(error)
      if (!deps.isClosed()) afterFailedCommit(take, error, ofTheRecords)
      return
    }
    deps.tracker.settle(done)
    deps.metrics?.transactionCommitted(topic, (deps.nowMs() - startedAtMs) / 1_000, take.length)
    deps.committed(take)
  }

  function afterFailedCommit(take: WorkItem[], error: unknown, ofTheRecords: boolean): void {
    deps.metrics?.transactionFailed(topic)
    const type = kafkaErrorType(error)
    if (isFenced(error)) deps.log.info({ ...at, type }, 'another owner fenced the lane')
    else deps.log.warn({ ...at, err: error, type }, 'transaction failed; the lane opens anew')
    if (ofTheRecords) isolateRecords(take, error)
    const message = `${type ?? ''} ${error instanceof Error ? error.message : String(error)}`.trim()
    deps.failed({ code: error instanceof ShuntError ? error.code : null, message })
  }

  /** Finds the record whose output cannot be written, and has it rejected; the others are not held up by it. */
  function isolateRecords(take: readonly WorkItem[], error: unknown): void {
    const [only] = take
    if (take.length > 1 || !only) outbox.isolate(take)
    else if (only.refusal) deps.log.error({ ...at, offset: only.record.offset, err: error }, 'cannot write a rejection')
    else {
      outbox.remove((item) => item === only)
      deps.refuse(only, isRefusedRecord(error) ? tooLarge('a record that the broker refused') : error)
    }
  }

  return {
    start(by, from) {
      producer = by
      head = from
    },
    async release() {
      await producer?.disconnect().catch(() => {})
      producer = null
    },
    push(item) {
      outbox.push(item)
      kick()
    },
    remove: (gone) => outbox.remove(gone),
    kick,
    waiting: () => outbox.size(),
    underWay: () => committing,
    stop() {
      if (commitTimer) clearTimeout(commitTimer)
      if (commitSoon) clearImmediate(commitSoon)
    },
  }
}
