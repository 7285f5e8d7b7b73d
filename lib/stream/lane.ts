import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '#lib/telemetry/logger'
import type { ByteBudget, LaneClass, Slots, SlotUser } from './capacity.ts'
import type { CommitTurns } from './commit-turns.ts'
import { createLaneCommits } from './lane-commits.ts'
import type { FencedLane } from './lane-log.ts'
import { openLane, type LaneOpeningDeps } from './lane-opening.ts'
import type { LaneProblem, LaneState, LaneStatus } from './lane-status.ts'
import { createOffsetTracker } from './offset-tracker.ts'
import { outputBytes, tooLarge } from './outbox.ts'
import { maxVarintBytes } from './progress-codec.ts'
import type { StageMetrics } from './stage-metrics.ts'
import type { Suspicion } from './suspicion.ts'
import { headerBytes, recordBytes } from './transaction.ts'
import type { Handle, InboundRecord, Journal, Reject } from './types.ts'
import { createWorkItem, createWorkQueue, type WorkItem } from './work-queue.ts'

/** Records of one fetch of one partition, in order. */
export interface FetchedRecords {
  /** Where the fetch began; holes up to the first record are holes in the log. */
  fetchedOffset: number
  /** Of the last record, control records included. */
  lastOffset: number
  records: InboundRecord[]
}

export interface Lane extends SlotUser {
  readonly topic: string
  readonly partition: number
  open(): void
  accept(fetched: FetchedRecords): void
  /** A rebalance left the lane here, but the fetch position and pauses may be gone. `interrupted`: others may have owned it. */
  keep(interrupted: boolean): void
  /** Applies pauses anew: the process holds more or fewer bytes than it should. */
  updateFetching(): void
  /** Starts nothing more; resolves once what runs is committed or aborted. */
  drain(abort: AbortSignal): Promise<void>
  /** Aborts what runs and gives the lane up. */
  close(): Promise<void>
  status(): LaneStatus
}

export interface LaneDeps extends Pick<LaneOpeningDeps, 'newProducer' | 'laneLog' | 'whyMissing' | 'stillOwned'> {
  fetching: { seek: (offset: number) => void; pause: () => void; resume: () => void }
  slots: Slots
  bytes: ByteBudget
  suspicion: Suspicion
  journal: Journal | undefined
  /** Of the lanes that commit one at a time. */
  turns: CommitTurns | undefined
  handle: Handle
  reject: Reject
  metrics: StageMetrics | undefined
  nowMs: () => number
  log: Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>
}

export interface LaneOptions {
  group: string
  topic: string
  partition: number
  laneClass: LaneClass
  commitIntervalMs: number
  maxHeldRecords: number
  maxRecordBytes: number
  orderKey: ((record: InboundRecord) => string) | undefined
  fairKey: ((record: InboundRecord) => string) | undefined
}

/** Name of a lane, and of its audit chain. */
export function laneName(group: string, topic: string, partition: number): string {
  return `${group}/${topic}/${partition}`
}

/**
 * One partition: takes fetched records over without waiting, runs them, and commits what came of them together with the
 * offset, in its own producer's transactions, as often as one is free. A transaction that fails, or whose outcome is
 * unknown, leads back to open(): fence, read what is committed, merge, and keep the finished work.
 */
export function createLane(deps: LaneDeps, options: LaneOptions): Lane {
  const { group, topic, partition, laneClass } = options
  const { suspicion } = deps
  const name = laneName(group, topic, partition)
  const at = { topic, partition }
  const tracker = createOffsetTracker()
  // Everything held, by offset, whether waiting, running or finished.
  const items = new Map<number, WorkItem>()

  let state: LaneState = 'opening'
  let problem: LaneProblem | null = null
  let paused = false
  let draining = false
  let opening: Promise<void> | null = null
  // The record that is handled alone, until it is committed.
  let alone: number | null = null
  const closed = new AbortController()

  const work = createWorkQueue(
    {
      handle: deps.handle,
      reject: deps.reject,
      released: () => deps.slots.release(laneClass),
      finished: onFinished,
      due: () => deps.slots.pump(),
      admit: (offset) => {
        if (!tracker.hasRoom(offset, maxVarintBytes)) return false
        tracker.start(offset)
        return true
      },
      alone: {
        before: (offset) => {
          alone = offset
          return suspicion.mark(offset, closed.signal)
        },
        ended: endAlone,
      },
      retried: (code) => deps.metrics?.recordRetried(topic, code),
      rejected: (code) => deps.metrics?.recordRejected(topic, code),
      nowMs: deps.nowMs,
      log: deps.log,
    },
    options,
  )

  const commits = createLaneCommits(
    {
      ...deps,
      tracker,
      isOpen: () => state === 'open',
      isDraining: () => draining,
      isClosed: () => closed.signal.aborted,
      committed: onCommitted,
      failed: onFailedCommit,
      refuse: takeBack,
      ended: updateFetching,
    },
    // Finished records are held until they are committed: a quarter of what the lane may hold is no reason to wait.
    { ...at, name, group, commitIntervalMs: options.commitIntervalMs, enough: options.maxHeldRecords / 4 },
  )
  const openingDeps: LaneOpeningDeps = { ...deps, release: () => commits.release(), opened: onOpened, cannotOpen }

  /**
   * Opens the lane unless that is under way or done. Several things ask for it at one time: a failed commit, and the
   * rebalance that made it fail. Of two openings, or an opening beside a commit, one would go on with what it had read
   * before the other committed: the work would be done, and its results written, again.
   */
  function open(): void {
    if (state !== 'opening' || opening || commits.underWay()) return
    updateFetching()
    opening = openLane(openingDeps, at, closed.signal).finally(() => {
      opening = null
    })
  }

  function cannotOpen(found: LaneProblem, blocked: boolean, error: unknown): void {
    if (problem?.message !== found.message)
      deps.log[blocked ? 'error' : 'warn']({ ...at, err: error }, 'lane cannot open')
    state = blocked ? 'blocked' : 'opening'
    problem = found
  }

  function onOpened({ fresh, progress, bounds }: FencedLane): void {
    if (progress.low < bounds.start)
      deps.log.warn({ ...at, from: progress.low, to: bounds.start }, 'records expired before they were handled')
    forget(tracker.restore(progress, bounds.start))
    commits.start(fresh, progress.head)
    state = 'open'
    problem = null
    deps.log.info({ ...at, low: tracker.low(), position: tracker.position(), kept: items.size }, 'lane open')
    deps.fetching.seek(tracker.position())
    updateFetching()
    deps.slots.pump()
    commits.kick()
  }

  /** Drops what is committed, by us or by another. */
  function forget(offsets: readonly number[]): void {
    if (offsets.length === 0) return
    const gone = new Set(offsets)
    work.drop(gone)
    commits.remove((item) => gone.has(item.record.offset))
    for (const offset of gone) release(offset)
  }

  function endAlone(offset: number): void {
    if (offset !== alone) return
    alone = null
    // Aborted with the lane, the record was not cleared of anything.
    if (closed.signal.aborted) return
    void suspicion.clear(offset).then(() => deps.slots.pump())
  }

  function release(offset: number): void {
    endAlone(offset)
    const item = items.get(offset)
    if (!item) return
    items.delete(offset)
    deps.bytes.remove(laneClass, item.bytes)
  }

  function accept(fetched: FetchedRecords): void {
    // Not open: dropped, since opening seeks to the lane's own position.
    if (state !== 'open' || draining) return
    if (fetched.fetchedOffset > tracker.position()) {
      void closeGap(fetched.fetchedOffset)
      return
    }
    const records = new Map(fetched.records.map((record) => [record.offset, record]))
    for (const offset of tracker.receive(fetched.fetchedOffset, fetched.lastOffset, [...records.keys()])) {
      const record = records.get(offset)
      if (!record) continue
      const item = createWorkItem(copyOf(record), bytesOf(record))
      const poison = suspicion.refusal(offset)
      if (poison) {
        item.refusal = { error: poison }
        deps.metrics?.recordRejected(topic, poison.code)
      }
      items.set(offset, item)
      deps.bytes.add(laneClass, item.bytes)
      work.add(item)
    }
    updateFetching()
    deps.slots.pump()
  }

  /** The consumer is ahead of the lane: back to the lane's position, or to the log's start where that is later. */
  async function closeGap(fetchedOffset: number): Promise<void> {
    deps.log.debug({ ...at, fetchedOffset, position: tracker.position() }, 'fetched ahead of the position')
    try {
      const { start } = await deps.laneLog.bounds()
      if (state !== 'open') return
      if (start > tracker.position()) {
        deps.log.warn({ ...at, from: tracker.position(), to: start }, 'records expired before they were handled')
        forget(tracker.restore({ low: tracker.low(), upTo: tracker.low(), incomplete: [] }, start))
      }
    } catch (error) {
      deps.log.warn({ ...at, err: error }, 'cannot read the bounds of the log')
    }
    if (state === 'open') deps.fetching.seek(tracker.position())
  }

  function updateFetching(): void {
    const held = items.size
    const full = held >= options.maxHeldRecords || (paused && held > options.maxHeldRecords / 2)
    const pause = state !== 'open' || draining || full || !deps.bytes.mayFetch(laneClass)
    if (state === 'closed' || pause === paused) return
    paused = pause
    if (pause) deps.fetching.pause()
    else deps.fetching.resume()
  }

  function onFinished(item: WorkItem): void {
    if (items.get(item.record.offset) !== item || closed.signal.aborted) return
    const oversize = item.handled?.records.find(
      (record) => !record.compress && recordBytes(record) > options.maxRecordBytes,
    )
    if (oversize && !item.refusal) {
      endAlone(item.record.offset)
      work.refuse(item, tooLarge(`a record of ${recordBytes(oversize)} bytes for ${oversize.topic}`))
      return
    }
    const bytes = outputBytes(item)
    item.bytes += bytes
    deps.bytes.add(laneClass, bytes)
    commits.push(item)
  }

  function onCommitted(done: readonly WorkItem[]): void {
    for (const item of done) {
      release(item.record.offset)
      if (!item.refusal) deps.metrics?.recordHandled(topic)
    }
    suspicion.progressed(tracker.low())
    deps.slots.pump()
  }

  function onFailedCommit(found: LaneProblem): void {
    problem = found
    state = 'opening'
    updateFetching()
    void deps.stillOwned().then((owned) => (owned ? open() : undefined))
  }

  /** What came of the item cannot be written: it is rejected instead. */
  function takeBack(item: WorkItem, error: unknown): void {
    const bytes = outputBytes(item)
    item.bytes -= bytes
    deps.bytes.remove(laneClass, bytes)
    endAlone(item.record.offset)
    work.refuse(item, error)
  }

  function isBusy(): boolean {
    return state !== 'closed' && (work.counts().running > 0 || commits.waiting() > 0 || commits.underWay() !== null)
  }

  return {
    topic,
    partition,
    laneClass,
    open,
    accept,
    updateFetching,
    keep(interrupted) {
      if (interrupted && state === 'open') {
        state = 'opening'
        updateFetching()
        void (commits.underWay() ?? Promise.resolve()).then(open)
      }
      if (state === 'open') deps.fetching.seek(tracker.position())
      if (paused) deps.fetching.pause()
      else deps.fetching.resume()
    },
    startNext() {
      if (state !== 'open' || draining) return false
      if (!suspicion.isSuspect()) return work.startNext(false)
      if (!suspicion.takeTurn()) return false
      const started = work.startNext(true)
      if (!started) suspicion.passTurn()
      return started
    },
    async drain(abort) {
      draining = true
      updateFetching()
      for (const item of work.clearWaiting()) release(item.record.offset)
      commits.kick()
      while (isBusy() && !abort.aborted) await sleep(10)
    },
    async close() {
      if (state === 'closed') return
      state = 'closed'
      closed.abort()
      commits.stop()
      work.stop()
      await commits.underWay()
      for (const offset of items.keys()) release(offset)
      await commits.release()
      await suspicion.closed()
    },
    status() {
      const counts = work.counts()
      return {
        topic,
        partition,
        laneClass,
        state,
        code: problem?.code ?? null,
        message: problem?.message ?? (counts.retrying > 0 ? work.lastError() : null),
        position: tracker.position() < 0 ? null : tracker.position(),
        low: tracker.position() < 0 ? null : tracker.low(),
        waiting: counts.waiting,
        inFlight: counts.running,
        retrying: counts.retrying,
        finished: commits.waiting(),
        oldestInFlightMs: counts.oldestStartedAtMs === null ? 0 : deps.nowMs() - counts.oldestStartedAtMs,
        suspect: suspicion.isSuspect(),
      }
    },
  }
}

/** kafkajs hands out views of the whole response: one small record held would hold megabytes. */
function copyOf(record: InboundRecord): InboundRecord {
  const headers: Record<string, Buffer | string | undefined> = {}
  for (const [name, value] of Object.entries(record.headers))
    headers[name] = Buffer.isBuffer(value) ? Buffer.from(value) : value
  return {
    ...record,
    key: record.key && Buffer.from(record.key),
    value: record.value && Buffer.from(record.value),
    headers,
  }
}

function bytesOf(record: InboundRecord): number {
  return (record.key?.length ?? 0) + (record.value?.length ?? 0) + headerBytes(record.headers)
}
