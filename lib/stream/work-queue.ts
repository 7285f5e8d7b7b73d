import { errorCodeOf, isRetryable, messageOf, ShuntError } from '#lib/errors'
import type { Logger } from '#lib/telemetry/logger'
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
}

export function createWorkItem(record: InboundRecord, bytes: number): WorkItem {
  return { record, bytes, handled: null, tries: 0, refusal: null, startedAtMs: 0, abort: null, holdsKey: false }
}

export interface WorkQueueDeps {
  handle: Handle
  reject: Reject
  /** Work has ended, well or not: its slot is free. */
  released: () => void
  finished: (item: WorkItem) => void
  /** A record that waited after a failure may start again. */
  due: () => void
  /** May the record start? Called in order, right before the start. */
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

/**
 * The records of one lane on their way through `handle`: any number at once, started in offset order; those of one order
 * key one at a time. What fails retryably is run again for ever, with a jittered pause that doubles up to 30 s; what
 * fails otherwise goes to `reject`. What is held (held-error.ts) is no failure, and comes again when its wait is over.
 */
export function createWorkQueue(
  deps: WorkQueueDeps,
  options: { orderKey?: ((record: InboundRecord) => string) | undefined },
): WorkQueue {
  // Taken from the front without moving the rest; what was taken is let go of, since it may hold a megabyte.
  let waiting: (WorkItem | undefined)[] = []
  let head = 0
  // Failed and due again, or freed by the one before them of the same key: they go first.
  const due: WorkItem[] = []
  const running = new Set<WorkItem>()
  // With what stops their wait.
  const retrying = new Map<WorkItem, () => void>()
  // Of each key that is busy, those that wait for it.
  const busyKeys = new Map<string, WorkItem[]>()
  let stopped = false
  let lastError: string | null = null

  const stillWaiting = () => waiting.slice(head) as WorkItem[]
  const keyOf = (item: WorkItem) => options.orderKey?.(item.record)

  function takeNext(): WorkItem | undefined {
    const first = due[0] ?? waiting[head]
    if (!first || !deps.admit(first.record.offset)) return undefined
    if (due.length > 0) return due.shift()
    waiting[head++] = undefined
    if (head > 1_024 && head * 2 > waiting.length) {
      waiting = waiting.slice(head)
      head = 0
    }
    return first
  }

  /** The next whose key is free. One of `due` holds its key already, or has no need of it. */
  function takeStartable(): WorkItem | undefined {
    for (;;) {
      const isDue = due.length > 0
      const item = takeNext()
      if (!item || isDue) return item
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
    add: (item) => void waiting.push(item),
    startNext(alone) {
      if (stopped) return false
      const item = takeStartable()
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
      waiting = stillWaiting().filter((item) => !gone(item))
      head = 0
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
      const cleared = [...stillWaiting(), ...due, ...retrying.keys(), ...[...busyKeys.values()].flat()]
      for (const item of retrying.keys()) forget(item)
      waiting = []
      head = 0
      due.length = 0
      for (const key of busyKeys.keys()) busyKeys.set(key, [])
      return cleared
    },
    stop() {
      stopped = true
      for (const item of [...running, ...retrying.keys()]) forget(item)
      waiting = []
      head = 0
      due.length = 0
      busyKeys.clear()
    },
    counts() {
      let queued = 0
      for (const items of busyKeys.values()) queued += items.length
      let oldest: number | null = null
      for (const item of running) oldest = Math.min(oldest ?? item.startedAtMs, item.startedAtMs)
      return {
        waiting: waiting.length - head + due.length + queued,
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
