import { ShuntError } from '#lib/errors'
import type { StepResult } from '#lib/events/types.generated'

/** What identifies a step. */
export interface StepKey {
  tenantId: string
  stepId: string
}

/** Where a record lies. */
export interface RecordPlace {
  topic: string
  partition: number
  offset: number
}

export interface WaitOptions {
  /** @default 120_000 */
  timeoutMs?: number
  signal?: AbortSignal
}

interface Waiter {
  settle: (result: StepResult) => void
  fail: (error: unknown) => void
}

interface Entry {
  waiters: Set<Waiter>
  /** Of the publication of this process; undefined until it is acknowledged, or where others publish. */
  place: RecordPlace | undefined
  /** True between a publication's start and its acknowledgement. */
  publishing: boolean
  /** Results that came while `publishing`, or before anybody waited. */
  results: StepResult[]
}

export interface WaitsOptions {
  /** Published steps and results that nobody waits for; the oldest are dropped above it. @default 10_000 */
  maxIdle?: number
  /** Characters of answers among them. @default 32 Mi */
  maxIdleChars?: number
}

export const waitsDefaults = { maxIdle: 10_000, maxIdleChars: 32 * 1024 * 1024 } satisfies Required<WaitsOptions>

function fresh(): Entry {
  return { waiters: new Set(), place: undefined, publishing: false, results: [] }
}

/** Names a step in a Map; no id may hold a NUL. */
export function stepKeyText(key: StepKey): string {
  return `${key.tenantId}\0${key.stepId}`
}

/**
 * Whether a result ends the publication at `place`. A rejected record claims nothing, so its result says nothing about
 * another record of the same id; without a known place, only a conflict is known to be about another record.
 */
export function endsPublication(result: StepResult, place: RecordPlace | undefined): boolean {
  if (result.status !== 'rejected') return true
  if (place === undefined) return result.code !== 'SHUNT_STEP_ID_CONFLICT'
  const { origin } = result
  return origin.topic === place.topic && origin.partition === place.partition && origin.offset === place.offset
}

/**
 * Who waits for which step, and results that came before anybody asked: between a publication's acknowledgement and
 * `wait` a fast result may pass. Everything about a step is forgotten when its wait ends.
 */
export function createWaits(options: WaitsOptions = {}) {
  const { maxIdle, maxIdleChars } = { ...waitsDefaults, ...options }
  const waiting = new Map<string, Entry>()
  /** In order of their publication. */
  const idle = new Map<string, Entry>()
  let idleChars = 0
  let closed: unknown

  const chars = (entry: Entry): number => entry.results.reduce((sum, result) => sum + (result.answer?.length ?? 0), 0)

  function rest(name: string, entry: Entry): void {
    idle.set(name, entry)
    idleChars += chars(entry)
    for (const [oldest, dropped] of idle) {
      if (idle.size <= maxIdle && idleChars <= maxIdleChars) break
      idle.delete(oldest)
      idleChars -= chars(dropped)
    }
  }

  function wake(name: string): Entry {
    const entry = idle.get(name)
    if (!entry) return fresh()
    idle.delete(name)
    idleChars -= chars(entry)
    return entry
  }

  /** Ends the entry's waits where one of its results is the answer. */
  function settle(name: string, entry: Entry): boolean {
    if (entry.publishing || entry.waiters.size === 0) return false
    const result = entry.results.find((candidate) => endsPublication(candidate, entry.place))
    if (!result) return false
    waiting.delete(name)
    for (const waiter of entry.waiters) waiter.settle(result)
    return true
  }

  return {
    /** Before a step is sent: from now on its results are kept. */
    publishing(key: StepKey): void {
      const name = stepKeyText(key)
      const entry = waiting.get(name) ?? wake(name)
      entry.publishing = true
      if (!waiting.has(name)) rest(name, entry)
    },

    /** After the acknowledgement, or without a place when the publication failed. */
    published(key: StepKey, place: RecordPlace | undefined): void {
      const name = stepKeyText(key)
      const entry = waiting.get(name) ?? idle.get(name)
      if (!entry) return
      entry.publishing = false
      entry.place = place
      if (place === undefined && entry.waiters.size === 0) wake(name)
      settle(name, entry)
    },

    /** Every result that is read, whoever's it is. */
    offer(result: StepResult): void {
      const name = stepKeyText(result)
      const entry = waiting.get(name)
      if (entry) {
        entry.results.push(result)
        if (!settle(name, entry) && !entry.publishing) entry.results.pop()
        return
      }
      if (!idle.has(name)) return
      const known = wake(name)
      if (known.publishing || endsPublication(result, known.place)) known.results.push(result)
      rest(name, known)
    },

    /** Throws SHUNT_AWAIT_TIMEOUT, the signal's reason, or what `close` was called with. */
    wait(key: StepKey, options: WaitOptions = {}): Promise<StepResult> {
      const { timeoutMs = 120_000, signal } = options
      const name = stepKeyText(key)
      return new Promise((resolve, reject) => {
        if (closed !== undefined) return reject(closed)
        if (signal?.aborted) return reject(signal.reason)
        const entry = waiting.get(name) ?? wake(name)
        waiting.set(name, entry)

        const end = (): void => {
          clearTimeout(timer)
          signal?.removeEventListener('abort', aborted)
          entry.waiters.delete(waiter)
        }
        const fail = (error: unknown): void => {
          end()
          if (entry.waiters.size === 0 && waiting.get(name) === entry) {
            waiting.delete(name)
            if (entry.publishing) rest(name, entry)
          }
          reject(error)
        }
        const aborted = (): void => fail(signal?.reason)
        const waiter: Waiter = {
          fail,
          settle: (result) => {
            end()
            resolve(result)
          },
        }
        const timer = setTimeout(
          () =>
            fail(
              new ShuntError(
                'SHUNT_AWAIT_TIMEOUT',
                `no result of step ${key.stepId} (tenant ${key.tenantId}) within ${timeoutMs} ms: the step goes on, wait for it again or read it with \`shunt results\``,
                { retryable: true },
              ),
            ),
          timeoutMs,
        )
        signal?.addEventListener('abort', aborted, { once: true })
        entry.waiters.add(waiter)
        settle(name, entry)
      })
    },

    /** Fails all waits, now and later. */
    close(reason: unknown): void {
      closed ??= reason
      for (const entry of waiting.values()) for (const waiter of entry.waiters) waiter.fail(reason)
      waiting.clear()
      idle.clear()
      idleChars = 0
    },

    /** Steps that are waited for, and steps kept without a wait. */
    size: (): { waiting: number; idle: number } => ({ waiting: waiting.size, idle: idle.size }),
  }
}
