import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test, vi } from 'vitest'
import { ShuntError } from '#lib/errors'
import type { Handle, Handled, InboundRecord, Reject } from '#lib/stream/types'
import { HeldError } from '#lib/stream/held-error'
import { createWorkItem, createWorkQueue } from '#lib/stream/work-queue'

const nothing: Handled = { records: [] }

function record(offset: number, key: string): InboundRecord {
  return { topic: 't', partition: 0, offset, key: Buffer.from(key), value: null, headers: {}, timestampMs: 0 }
}

function queueOf(
  handle: Handle,
  over: { reject?: Reject; ordered?: boolean; warn?: (line: object) => void } = {},
  automatic = true,
) {
  const finished: number[] = []
  const alone: string[] = []
  // A slot that comes free starts whatever can start, as the lane's slots do.
  const released = vi.fn<() => void>(() => automatic && startAll())
  const queue = createWorkQueue(
    {
      handle,
      reject: over.reject ?? (() => Promise.resolve(nothing)),
      released,
      finished: (item) => void finished.push(item.record.offset),
      due: () => startAll(),
      admit: () => true,
      alone: {
        before: (offset) => Promise.resolve(void alone.push(`before ${offset}`)),
        ended: (offset) => void alone.push(`ended ${offset}`),
      },
      retried: () => {},
      rejected: () => {},
      nowMs: () => 0,
      log: { warn: (line: object) => over.warn?.(line), error() {} },
    },
    { orderKey: over.ordered ? (at) => String(at.key) : undefined },
  )
  function startAll(): void {
    while (queue.startNext(false));
  }
  const add = (...keys: string[]) => {
    for (const [offset, key] of keys.entries()) queue.add(createWorkItem(record(offset, key), 1))
  }
  return { queue, add, startAll, finished, released, alone }
}

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

describe('work queue', () => {
  test("the line of a failure holds the ids that the handler read, and none of the record's text", () => {
    const lines: unknown[] = []
    const ids = { tenantId: 't', stepId: 's-1', taskId: 't-1' }
    const { add, startAll, finished } = queueOf(
      (failed) => {
        failed.ids = ids
        return Promise.reject(new ShuntError('SHUNT_EVENT_INVALID', 'bad'))
      },
      { warn: (line) => void lines.push(line) },
    )
    add('a patient')
    startAll()
    return vi.waitFor(() => {
      expect(finished).toEqual([0])
      expect(lines).toMatchObject([{ ...ids, topic: 't', partition: 0, offset: 0 }])
      expect(JSON.stringify(lines)).not.toContain('patient')
    })
  })

  test('what was handled is let go of, since a record may hold a megabyte', async () => {
    const { queue, startAll, finished } = queueOf(() => Promise.resolve(nothing))
    // A function of its own: the frame of this one would hold the last item.
    const addOne = (offset: number) => {
      const item = createWorkItem(record(offset, 'a'), 1)
      queue.add(item)
      return new WeakRef(item)
    }
    const held = Array.from({ length: 10 }, (_, offset) => addOne(offset))
    startAll()
    await vi.waitFor(() => expect(finished).toHaveLength(10))
    await vi.waitFor(() => {
      collectGarbage()
      expect(held.filter((ref) => ref.deref() !== undefined)).toEqual([])
    })
    expect(queue.counts().waiting).toBe(0)
  })

  test('a retryable failure is tried again until it succeeds, with growing pauses', async () => {
    vi.useFakeTimers()
    let tries = 0
    const { add, startAll, finished, queue } = queueOf(() => {
      tries += 1
      if (tries < 5) throw new ShuntError('SHUNT_REDIS_UNAVAILABLE', 'away', { retryable: true })
      return Promise.resolve(nothing)
    })
    add('a')
    startAll()
    // The first pause is 100 ms at the least.
    await vi.advanceTimersByTimeAsync(90)
    expect(tries).toBe(1)
    expect(queue.counts()).toMatchObject({ running: 0, retrying: 1 })
    expect(queue.lastError()).toBe('SHUNT_REDIS_UNAVAILABLE: away')
    await vi.advanceTimersByTimeAsync(10_000)
    expect([tries, finished]).toEqual([5, [0]])
    vi.useRealTimers()
  })

  test('an error of ours that is not retryable is rejected at once, an unknown one after three tries', async () => {
    vi.useFakeTimers()
    const tries = new Map<string, number>()
    const rejected: string[] = []
    const { add, startAll, finished } = queueOf(
      (at) => {
        const key = String(at.key)
        tries.set(key, (tries.get(key) ?? 0) + 1)
        throw key === 'ours' ? new ShuntError('SHUNT_EVENT_INVALID', 'no') : new TypeError('defect')
      },
      { reject: (at) => Promise.resolve((rejected.push(String(at.key)), nothing)) },
    )
    add('ours', 'unknown')
    startAll()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(Object.fromEntries(tries)).toEqual({ ours: 1, unknown: 3 })
    expect(rejected).toEqual(['ours', 'unknown'])
    expect(finished).toEqual([0, 1])
    vi.useRealTimers()
  })

  test('what is held gives its slot back, is no failure however often, and comes again when its wait is over', async () => {
    let waiting: (() => void)[] = []
    let handled = 0
    let open = false
    const stopped = vi.fn<() => void>()
    const lines: unknown[] = []
    const { add, startAll, finished, queue, released } = queueOf(
      () => {
        handled += 1
        if (open) return Promise.resolve(nothing)
        throw new HeldError('SHUNT_PAUSED', 'it waits', (again) => {
          waiting.push(again)
          return stopped
        })
      },
      { warn: (line) => void lines.push(line) },
    )
    add('a', 'b')
    startAll()
    for (let round = 1; round <= 6; round++) {
      await vi.waitFor(() => expect(waiting).toHaveLength(2))
      expect(queue.counts()).toMatchObject({ running: 0, waiting: 0, retrying: 2 })
      expect(released).toHaveBeenCalledTimes(2 * round)
      open = round === 6
      const due = waiting
      waiting = []
      for (const again of due.toReversed()) again()
    }
    await vi.waitFor(() => expect(finished).toHaveLength(2))
    expect([handled, lines]).toEqual([14, []])

    open = false
    add('c')
    startAll()
    await vi.waitFor(() => expect(waiting).toHaveLength(1))
    expect(queue.lastError()).toBe('SHUNT_PAUSED: it waits')
    queue.clearWaiting()
    expect(stopped).toHaveBeenCalledTimes(1)
  })

  test('a reject that throws is tried again, and the record is not handled again', async () => {
    vi.useFakeTimers()
    let handled = 0
    let rejects = 0
    const { add, startAll, finished } = queueOf(
      () => {
        handled += 1
        throw new ShuntError('SHUNT_EVENT_INVALID', 'no')
      },
      {
        reject: () => {
          rejects += 1
          return rejects < 3 ? Promise.reject(new Error('registry away')) : Promise.resolve(nothing)
        },
      },
    )
    add('a')
    startAll()
    await vi.advanceTimersByTimeAsync(10_000)
    expect([handled, rejects, finished]).toEqual([1, 3, [0]])
    vi.useRealTimers()
  })

  test('a key keeps its order while its first record is being tried again', async () => {
    vi.useFakeTimers()
    const order: number[] = []
    let failed = false
    const { add, startAll } = queueOf(
      (at) => {
        if (at.offset === 0 && !failed) {
          failed = true
          throw new ShuntError('SHUNT_REDIS_UNAVAILABLE', 'away', { retryable: true })
        }
        order.push(at.offset)
        return Promise.resolve(nothing)
      },
      { ordered: true },
    )
    add('a', 'b', 'a')
    startAll()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(order).toEqual([1, 0, 2])
    vi.useRealTimers()
  })

  test('what is dropped or stopped is aborted, frees its slot, and is not finished', async () => {
    const aborted: number[] = []
    const { queue, add, startAll, finished, released } = queueOf(
      (at, signal) =>
        new Promise((_, fail) => {
          signal.addEventListener('abort', () => {
            aborted.push(at.offset)
            fail(new Error('aborted'))
          })
        }),
    )
    add('a', 'b', 'c')
    startAll()
    queue.drop(new Set([1]))
    await vi.waitFor(() => expect(released).toHaveBeenCalledTimes(1))
    queue.stop()
    await vi.waitFor(() => expect(released).toHaveBeenCalledTimes(3))
    expect([aborted, finished]).toEqual([[1, 0, 2], []])
    expect(queue.counts()).toMatchObject({ running: 0, retrying: 0, waiting: 0 })
  })

  test('one alone is marked before it is handled, and told of only when it led to nothing', async () => {
    let fail = true
    const { queue, add, finished, alone } = queueOf(
      () =>
        fail
          ? Promise.reject(new ShuntError('SHUNT_REDIS_UNAVAILABLE', 'away', { retryable: true }))
          : Promise.resolve(nothing),
      {},
      false,
    )
    add('a', 'b')
    queue.startNext(true)
    await vi.waitFor(() => expect(alone).toEqual(['before 0', 'ended 0']))
    fail = false
    queue.startNext(true)
    await vi.waitFor(() => expect(finished).toContain(1))
    expect(alone).toEqual(['before 0', 'ended 0', 'before 1'])
    queue.stop()
  })
})
