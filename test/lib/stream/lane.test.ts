import type { Producer } from 'kafkajs'
import { describe, expect, test, vi } from 'vitest'
import { createByteBudget, createSlots } from '#lib/stream/capacity'
import { createLane, type LaneDeps, type LaneOptions } from '#lib/stream/lane'
import { encodeProgress, initialProgress } from '#lib/stream/progress-codec'
import type { Suspicion } from '#lib/stream/suspicion'
import type { InboundRecord } from '#lib/stream/types'

const record = (offset: number): InboundRecord => ({
  topic: 'steps',
  partition: 0,
  offset,
  key: Buffer.from('key'),
  value: Buffer.from('value'),
  headers: {},
  timestampMs: 0,
})

const innocent: Suspicion = {
  opened: () => Promise.resolve(),
  isSuspect: () => false,
  takeTurn: () => true,
  passTurn: () => {},
  mark: () => Promise.resolve(),
  clear: () => Promise.resolve(),
  refusal: () => null,
  progressed: () => {},
  closed: () => Promise.resolve(),
}

/** A lane over a broker whose commits succeed or fail as the test says. */
function laneRig(given: Partial<LaneDeps> = {}, more: Partial<LaneOptions> = {}) {
  let opened = 0
  const commits: PromiseWithResolvers<void>[] = []
  const heartbeats: (() => void)[] = []
  const newProducer = () => {
    opened++
    const transaction = () => ({
      abort: () => Promise.resolve(),
      sendBatch: () => Promise.resolve(),
      sendOffsets: () => Promise.resolve(),
      commit: () => {
        const outcome = Promise.withResolvers<void>()
        commits.push(outcome)
        return outcome.promise
      },
    })
    return {
      connect: () => Promise.resolve(),
      disconnect: () => Promise.resolve(),
      transaction: () => Promise.resolve(transaction()),
    } as unknown as Producer
  }
  const deps: LaneDeps = {
    newProducer,
    laneLog: {
      committed: () => Promise.resolve({ offset: 0, metadata: encodeProgress(initialProgress(0)) }),
      bounds: () => Promise.resolve({ start: 0, end: 10 }),
    },
    whyMissing: () => Promise.reject(new Error('not asked for')),
    fetching: { seek: () => {}, pause: () => {}, resume: () => {} },
    stillOwned: () => new Promise((resolve) => heartbeats.push(() => resolve(true))),
    slots: createSlots({ maxInFlight: 10, batchSharePpm: () => 250_000, interactiveReservePpm: () => 100_000 }),
    bytes: createByteBudget({ onChange: () => {} }, { maxBytes: 1_000_000 }),
    suspicion: innocent,
    journal: undefined,
    turns: undefined,
    handle: () => Promise.resolve({ records: [{ topic: 'results', key: 'key', value: null }] }),
    reject: () => Promise.resolve({ records: [] }),
    metrics: undefined,
    nowMs: Date.now,
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    ...given,
  }
  const lane = createLane(deps, {
    group: 'group',
    topic: 'steps',
    partition: 0,
    laneClass: 'interactive',
    commitIntervalMs: 0,
    maxHeldRecords: 100,
    maxRecordBytes: 1_000_000,
    orderKey: undefined,
    fairKey: undefined,
    ...more,
  })
  deps.slots.add(lane)
  return {
    lane,
    commits,
    opened: () => opened,
    heartbeat: () => {
      for (const beat of heartbeats.splice(0)) beat()
    },
  }
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 20))

async function openWithCommitUnderWay() {
  const rig = laneRig()
  rig.lane.open()
  await vi.waitFor(() => expect(rig.lane.status().state).toBe('open'))
  rig.lane.accept({ fetchedOffset: 0, lastOffset: 0, records: [record(0)] })
  await vi.waitFor(() => expect(rig.commits).toHaveLength(1))
  return rig
}

test('a rebalance while a commit fails opens the lane once: two openings would restore each other’s past', async () => {
  const rig = await openWithCommitUnderWay()
  rig.lane.keep(true)
  rig.commits[0]!.reject(Object.assign(new Error('fenced'), { name: 'KafkaJSProtocolError' }))
  await settled()
  rig.heartbeat()
  await vi.waitFor(() => expect(rig.lane.status().state).toBe('open'))
  rig.heartbeat()
  await settled()
  expect(rig.opened()).toBe(2)
  // What was finished before is committed now.
  expect(rig.commits).toHaveLength(2)
})

test('a rebalance waits for the commit under way, then opens the lane anew', async () => {
  const rig = await openWithCommitUnderWay()
  rig.lane.keep(true)
  rig.lane.keep(true)
  await settled()
  expect(rig.opened()).toBe(1)
  rig.commits[0]!.resolve()
  await vi.waitFor(() => expect(rig.lane.status().state).toBe('open'))
  await settled()
  expect(rig.opened()).toBe(2)
})

test('a busy lane gathers for its interval, unless that would hold up its fetching', async () => {
  const rig = laneRig({}, { commitIntervalMs: 60_000, maxHeldRecords: 8 })
  rig.lane.open()
  await vi.waitFor(() => expect(rig.lane.status().state).toBe('open'))
  const accept = (offset: number) =>
    rig.lane.accept({ fetchedOffset: offset, lastOffset: offset, records: [record(offset)] })
  accept(0)
  await vi.waitFor(() => expect(rig.commits).toHaveLength(1))
  rig.commits[0]!.resolve()
  accept(1)
  await settled()
  expect([rig.commits.length, rig.lane.status().finished]).toEqual([1, 1])
  accept(2)
  await vi.waitFor(() => expect(rig.commits).toHaveLength(2))
})

test('a record that is held keeps none of the response that it came in', async () => {
  const response = Buffer.alloc(1024 * 1024)
  const held: InboundRecord[] = []
  const rig = laneRig({
    handle: (record) => {
      held.push(record)
      return Promise.resolve({ records: [] })
    },
  })
  rig.lane.open()
  await vi.waitFor(() => expect(rig.lane.status().state).toBe('open'))
  const parts = { key: response.subarray(0, 3), value: response.subarray(3, 9) }
  const headers = { 'content-type': response.subarray(9, 25), traceparent: 'text', none: undefined }
  rig.lane.accept({ fetchedOffset: 0, lastOffset: 0, records: [{ ...record(0), ...parts, headers }] })
  await vi.waitFor(() => expect(held).toHaveLength(1))
  const [{ key, value, headers: kept }] = held as [InboundRecord]
  expect(kept).toEqual(headers)
  const retained = [key, value, kept['content-type'] as Buffer].map((bytes) => bytes?.buffer.byteLength)
  expect(Math.max(...retained.map((bytes) => bytes ?? 0))).toBeLessThan(100_000)
})

describe('a commit that fails', () => {
  /** A lane that holds one finished record and then one commit under way, and what was rejected. */
  async function rejectingRig(given: Partial<LaneDeps> = {}) {
    const reject = vi.fn<LaneDeps['reject']>(() => Promise.resolve({ records: [] }))
    const rig = laneRig({ reject, ...given })
    rig.lane.open()
    await vi.waitFor(() => expect(rig.lane.status().state).toBe('open'))
    rig.lane.accept({ fetchedOffset: 0, lastOffset: 0, records: [record(0)] })
    return { ...rig, reject }
  }

  test.each([
    ['a plain error of a broken link', new Error('Broker not connected')],
    ['a TypeError within kafkajs', new TypeError('cannot read properties of undefined')],
    ['an error of kafkajs', Object.assign(new Error('timed out'), { name: 'KafkaJSRequestTimeoutError' })],
  ])('for %s takes no finished work away', async (_, error) => {
    const rig = await rejectingRig()
    await vi.waitFor(() => expect(rig.commits).toHaveLength(1))
    rig.commits[0]!.reject(error)
    await settled()
    rig.heartbeat()
    await vi.waitFor(() => expect(rig.commits).toHaveLength(2))
    rig.commits[1]!.resolve()
    await vi.waitFor(() => expect(rig.lane.status().low).toBe(1))
    expect(rig.reject).not.toHaveBeenCalled()
  })

  test('for a record that the broker refuses rejects it', async () => {
    const rig = await rejectingRig()
    await vi.waitFor(() => expect(rig.commits).toHaveLength(1))
    rig.commits[0]!.reject(Object.assign(new Error('too large'), { type: 'MESSAGE_TOO_LARGE' }))
    await settled()
    rig.heartbeat()
    await vi.waitFor(() => expect(rig.reject).toHaveBeenCalledOnce())
    expect(rig.reject.mock.calls[0]![1]).toMatchObject({ code: 'SHUNT_EVENT_TOO_LARGE' })
  })

  test('for output that cannot be linked into the audit rejects the record', async () => {
    const cannot = new Error('a draft that cannot be encoded')
    const rig = await rejectingRig({
      handle: () => Promise.resolve({ records: [], audit: [{ type: 'outcome', body: Buffer.from('x') }] }),
      journal: {
        seal: () => {
          throw cannot
        },
      },
    })
    await settled()
    rig.heartbeat()
    await vi.waitFor(() => expect(rig.reject).toHaveBeenCalledWith(expect.anything(), cannot))
  })
})

describe('a lane that is given up', () => {
  test('while it opens does not become the owner that nobody closes', async () => {
    const read = Promise.withResolvers<null>()
    const opened = vi.fn<Suspicion['opened']>(() => Promise.resolve())
    const bounds = vi.fn<LaneDeps['laneLog']['bounds']>(() => read.promise.then(() => ({ start: 0, end: 10 })))
    const committed = () => Promise.resolve({ offset: 0, metadata: encodeProgress(initialProgress(0)) })
    const { lane } = laneRig({ suspicion: { ...innocent, opened }, laneLog: { committed, bounds } })
    lane.open()
    await vi.waitFor(() => expect(bounds).toHaveBeenCalled())
    await lane.close()
    read.resolve(null)
    await settled()
    expect(opened).not.toHaveBeenCalled()
  })

  test('does not clear the record that it handled alone: it may still be the one that kills', async () => {
    const clear = vi.fn<Suspicion['clear']>(() => Promise.resolve())
    const handle = vi.fn<LaneDeps['handle']>(
      (_, signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted')))),
    )
    const { lane } = laneRig({ suspicion: { ...innocent, isSuspect: () => true, clear }, handle })
    lane.open()
    await vi.waitFor(() => expect(lane.status().state).toBe('open'))
    lane.accept({ fetchedOffset: 0, lastOffset: 0, records: [record(0)] })
    await vi.waitFor(() => expect(handle).toHaveBeenCalled())
    await lane.close()
    await settled()
    expect(clear).not.toHaveBeenCalled()
  })
})
