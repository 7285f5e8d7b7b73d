import { errorCodeOf, isRetryable, messageOf, ShuntError } from '#lib/errors'
import type { Logger } from '#lib/telemetry/logger'
import { createFairQueue } from './fair-queue.ts'
import { HeldError, holdFor, type Hold } from './held-error.ts'
import type { Handle, Handled, InboundRecord, Reject } from './types.ts'

/** A record that a lane holds, from its arrival until its commit. */
export interface WorkItem {
  readonly record: InboundRecord
  /** Bytes held for it: the record, and what came of it. */
  bytes: number
  /** What came of it; set once it is finished. */
  handled: Handled | null
  /** Times it was handled without success. */
  tries: number
  /** Why it will not be handled again; it goes to reject. */
  refusal: { error: unknown } | null
  startedAtMs: number
  abort: AbortController | null
  /** It holds its order key: others of the key wait. */
  holdsKey: boolean
  /** Whose turn it takes among those that wait. */
  fairKey: string
}

export function createWorkItem(record: InboundRecord, bytes: number): WorkItem {
  return {
    record,
    bytes,
    handled: null,
    tries: 0,
    refusal: null,
    startedAtMs: 0,
    abort: null,
    holdsKey: false,
    fairKey: '',
  }
}

export interface WorkQueueDeps {
  handle: Handle
  reject: Reject
  /** Work has ended, well or not: its slot is free. */
  released: () => void
  finished: (item: WorkItem) => void
  /** A record that waited after a failure may start again. */
  due: () => void
  /** May the record start? Called right before the start. */
  admit: (offset: number) => boolean
  /** Awaited before a record is handled alone; and told when that did not lead to a finished item. */
  alone: { before: (offset: number) => Promise<void>; ended: (offset: number) => void }
  retried: (code: string) => void
  rejected: (code: string) => void
  nowMs: () => number
  log: Pick<Logger, 'warn' | 'error'>
}

export interface WorkQueue {
  add(item: WorkItem): void
  /** Starts the next record that may start. `alone`: only the lowest, with its mark. */
  startNext(alone: boolean): boolean
  /** Sends a finished item to reject, which replaces what came of it. */
  refuse(item: WorkItem, error: unknown): void
  /** Someone else has committed them: aborts them, and forgets those that wait. */
  drop(offsets: ReadonlySet<number>): void
  /** Nothing waiting will start any more; what runs goes on. */
  clearWaiting(): WorkItem[]
  /** Aborts what runs and forgets the rest. */
  stop(): void
  counts(): { waiting: number; running: number; retrying: number; oldestStartedAtMs: number | null }
  lastError(): string | null
}

/** Failures without a code are taken for a defect after this many tries. */
const triesOfUnknown = 3
const firstRetryMs = 200
const lastRetryMs = 30_000

export interface WorkQueueOptions {
  /** Records of one key are handled one at a time, in offset order. All of them must have one fair key. */
  orderKey?: ((record: InboundRecord) => string) | undefined
  /** Keys take turns in starting records. Asked once a record; must not throw. @default all have one key */
  fairKey?: ((record: InboundRecord) => string) | undefined
}

/**
 * The records of one lane on their way through `handle`: any number at once, those of one order key one at a time. Of
 * those that wait, the fair keys take turns; those of one fair key start in offset order. What fails retryably is run
 * again for ever, with a jittered pause that doubles up to 30 s; what fails otherwise goes to `reject`. What is held
 * (held-error.ts) is no failure, and comes again when its wait is over.
 */
export function createWorkQueue(deps: WorkQueueDeps, options: WorkQueueOptions): WorkQueue {
  const byOffset = (a: WorkItem, b: WorkItem) => a.record.offset - b.record.offset
  const waiting = createFairQueue<WorkItem>((item) => item.fairKey, byOffset)
  // Failed and due again, or freed by the one before them of the same key: they go first.
  const due: WorkItem[] = []
  const running = new Set<WorkItem>()
  // With what stops their wait.
  const retrying = new Map<WorkItem, () => void>()
  // Of each key that is busy, those that wait for it.
  const busyKeys = new Map<string, WorkItem[]>()
  let stopped = false
  let lastError: string | null = null

  const keyOf = (item: WorkItem) => options.orderKey?.(item.record)

  /**
   * The one whose turn it is; where that lies too far ahead to be admitted, the lowest, which nothing but a full process
   * keeps from starting. One that is handled alone is the lowest too.
   */
  function takeWaiting(alone: boolean): WorkItem | undefined {
    const next = alone ? undefined : waiting.next()
    if (next && deps.admit(next.record.offset)) {
      waiting.take(next)
      return next
    }
    let lowest: WorkItem | undefined
    for (const first of waiting.firsts()) if (!lowest || byOffset(first, lowest) < 0) lowest = first
    if (!lowest || lowest === next || !deps.admit(lowest.record.offset)) return undefined
    waiting.remove(lowest)
    return lowest
  }

  /** The next whose order key is free. One of `due` holds its key already, or has no need of it. */
  function takeStartable(alone: boolean): WorkItem | undefined {
    const [first] = due
    if (first) return deps.admit(first.record.offset) ? due.shift() : undefined
    for (;;) {
      const item = takeWaiting(alone)
      if (!item) return undefined
      const key = keyOf(item)
      if (key === undefined) return item
      const queued = busyKeys.get(key)
      if (!queued) {
        busyKeys.set(key, [])
        item.holdsKey = true
        return item
      }
      queued.push(item)
    }
  }

  function freeKey(item: WorkItem): void {
    const key = keyOf(item)
    if (key === undefined || !item.holdsKey) return
    item.holdsKey = false
    const next = busyKeys.get(key)?.shift()
    if (!next) busyKeys.delete(key)
    else {
      next.holdsKey = true
      insertDue(next)
    }
  }

  function insertDue(item: WorkItem): void {
    const at = due.findIndex((other) => other.record.offset > item.record.offset)
    due.splice(at < 0 ? due.length : at, 0, item)
  }

  function launch(item: WorkItem, alone: boolean): void {
    const abort = new AbortController()
    item.abort = abort
    item.startedAtMs = deps.nowMs()
    running.add(item)
    void run(item, abort.signal, alone)
  }

  async function run(item: WorkItem, signal: AbortSignal, alone: boolean): Promise<void> {
    let failure: { error: unknown } | null = null
    try {
      if (alone) await deps.alone.before(item.record.offset)
      if (signal.aborted) item.handled = null
      else if (item.refusal) item.handled = await deps.reject(item.record, item.refusal.error)
      else item.handled = await deps.handle(item.record, signal)
    } catch (error) {
      failure = { error }
    }
    running.delete(item)
    item.abort = null
    const isFinished = !stopped && !signal.aborted && !failure
    if (alone && !isFinished) deps.alone.ended(item.record.offset)
    if (stopped || signal.aborted) item.handled = null
    else if (failure) afterFailure(item, failure.error)
    else {
      freeKey(item)
      deps.finished(item)
    }
    deps.released()
  }

  function afterFailure(item: WorkItem, error: unknown): void {
    const code = errorCodeOf(error)
    if (error instanceof HeldError) {
      lastError = describe(error)
      deps.retried(code)
      wait(item, error.hold)
      return
    }
    item.tries += 1
    const { topic, partition, offset, ids } = item.record
    const at = { topic, partition, offset, ...ids }
    lastError = describe(error)
    if (item.refusal) deps.log.error({ ...at, err: error }, 'the reject of a record failed; it is tried again')
    else if (!isRetryable(error) && (error instanceof ShuntError || item.tries >= triesOfUnknown)) {
      deps.log.warn({ ...at, err: error, tries: item.tries }, 'record rejected')
      deps.rejected(code)
      item.refusal = { error }
      insertDue(item)
      deps.due()
      return
    } else deps.log.warn({ ...at, err: error, tries: item.tries }, 'record failed; it is tried again')
    deps.retried(code)
    const pauseMs = Math.min(lastRetryMs, firstRetryMs * 2 ** Math.min(item.tries - 1, 10)) * (0.5 + Math.random() / 2)
    wait(item, holdFor(pauseMs))
  }

  function wait(item: WorkItem, hold: Hold): void {
    const stopWaiting = hold(() => {
      retrying.delete(item)
      insertDue(item)
      deps.due()
    })
    retrying.set(item, stopWaiting)
  }

  function forget(item: WorkItem): void {
    item.abort?.abort()
    retrying.get(item)?.()
    retrying.delete(item)
  }

  return {
    add(item) {
      item.fairKey = options.fairKey?.(item.record) ?? ''
      waiting.add(item)
    },
    startNext(alone) {
      if (stopped) return false
      const item = takeStartable(alone)
      if (!item) return false
      launch(item, alone)
      return true
    },
    refuse(item, error) {
      item.handled = null
      item.refusal = { error }
      deps.rejected(errorCodeOf(error))
      lastError = describe(error)
      insertDue(item)
      deps.due()
    },
    drop(offsets) {
      const gone = (item: WorkItem) => offsets.has(item.record.offset)
      for (const item of [...running, ...retrying.keys()]) {
        if (!gone(item)) continue
        forget(item)
        freeKey(item)
      }
      for (const item of [...waiting].filter(gone)) waiting.remove(item)
      for (const item of due.filter(gone)) {
        due.splice(due.indexOf(item), 1)
        freeKey(item)
      }
      for (const [key, queued] of busyKeys) {
        const kept = queued.filter((item) => !gone(item))
        busyKeys.set(key, kept)
      }
    },
    clearWaiting() {
      const cleared = [...waiting, ...due, ...retrying.keys(), ...[...busyKeys.values()].flat()]
      for (const item of retrying.keys()) forget(item)
      waiting.clear()
      due.length = 0
      for (const key of busyKeys.keys()) busyKeys.set(key, [])
      return cleared
    },
    stop() {
      stopped = true
      for (const item of [...running, ...retrying.keys()]) forget(item)
      waiting.clear()
      due.length = 0
      busyKeys.clear()
    },
    counts() {
      let queued = 0
      for (const items of busyKeys.values()) queued += items.length
      let oldest: number | null = null
      for (const item of running) oldest = Math.min(oldest ?? item.startedAtMs, item.startedAtMs)
      return {
        waiting: waiting.size() + due.length + queued,
        running: running.size,
        retrying: retrying.size,
        oldestStartedAtMs: oldest,
      }
    },
    lastError: () => lastError,
  }
}

function describe(error: unknown): string {
  return `${errorCodeOf(error)}: ${messageOf(error)}`
}
