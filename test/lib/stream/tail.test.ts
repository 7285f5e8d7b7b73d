import type { Admin, Consumer, Kafka } from 'kafkajs'
import { describe, expect, test, vi } from 'vitest'
import { createTail } from '#lib/stream/tail'

const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** One partition, offsets 0 to 9, whose consumer does what the test says. */
function brokerOf(admin: Partial<Admin> = {}) {
  const listeners = new Map<string, (event: { payload: object }) => void>()
  type EachBatch = (payload: object) => Promise<void>
  const run = vi.fn<(config: { eachBatch: EachBatch }) => Promise<void>>(() => Promise.resolve())
  const pause = vi.fn<(topics: { partitions?: number[] }[]) => void>()
  const done = () => Promise.resolve()
  const consumer = {
    events: { HEARTBEAT: 'heartbeat', GROUP_JOIN: 'join', START_BATCH_PROCESS: 'batch', CRASH: 'crash' },
    on: (name: string, listener: (event: { payload: object }) => void) => listeners.set(name, listener),
    connect: done,
    subscribe: done,
    run,
    seek: () => {},
    pause,
    disconnect: done,
  } as unknown as Consumer
  const offsets = [{ partition: 0, offset: '10', low: '0', high: '10' }]
  const admins = {
    connect: done,
    fetchTopicOffsets: () => Promise.resolve(offsets),
    deleteGroups: () => Promise.resolve([]),
    disconnect: done,
    ...admin,
  } as unknown as Admin
  return {
    kafka: () => ({ admin: () => admins, consumer: () => consumer }) as unknown as Kafka,
    run,
    pause,
    /** Records of these offsets arrive in one fetch. */
    fetch: (from: number, until: number) => {
      const messages = Array.from({ length: until - from }, (_, i) => ({
        key: null,
        value: null,
        timestamp: '0',
        offset: String(from + i),
      }))
      const batch = {
        topic: 't',
        partition: 0,
        highWatermark: '10',
        fetchedOffset: String(from),
        messages,
        lastOffset: () => String(until - 1),
      }
      return run.mock.lastCall![0].eachBatch({ batch, resolveOffset: () => {}, heartbeat: () => Promise.resolve() })
    },
    tell: (name: string, payload: object) => listeners.get(name)?.({ payload }),
  }
}

describe('a tail', () => {
  test('is caught up where retention has left nothing but control records', async () => {
    const broker = brokerOf()
    const tail = createTail({ kafka: broker.kafka, log }, { topics: ['t'], from: 'beginning', onRecord: () => {} })
    await vi.waitFor(() => expect(broker.run).toHaveBeenCalled())
    broker.tell('join', { memberAssignment: { t: [0] }, memberId: 'm' })
    const fetched = { topic: 't', partition: 0, highWatermark: '10', batchSize: 0 }
    broker.tell('batch', { ...fetched, fetchedOffset: '8', lastOffset: '9' })
    await tail.caughtUp
    await tail.stop()
  })

  test('ends where it is told to, gives nothing beyond, and lets nothing more be fetched', async () => {
    const broker = brokerOf()
    const given: number[][] = []
    const tail = createTail(
      { kafka: broker.kafka, log },
      {
        topics: ['t'],
        from: { t: { 0: 2 } },
        until: { t: { 0: 7 } },
        onRecords: (records) => void given.push(records.map(({ offset }) => offset)),
      },
    )
    await vi.waitFor(() => expect(broker.run).toHaveBeenCalled())
    broker.tell('join', { memberAssignment: { t: [0] }, memberId: 'm' })
    await broker.fetch(2, 5)
    expect(broker.pause).not.toHaveBeenCalled()
    await broker.fetch(5, 10)
    await tail.caughtUp
    expect(broker.pause).toHaveBeenCalledWith([{ topic: 't', partitions: [0] }])
    expect(given).toEqual([
      [2, 3, 4],
      [5, 6],
    ])
    await tail.stop()
  })

  test('gives one fetch after the other, also where a consumer that crashed is still giving one', async () => {
    const broker = brokerOf()
    const given: number[] = []
    const first = Promise.withResolvers<void>()
    const tail = createTail(
      { kafka: broker.kafka, log },
      {
        topics: ['t'],
        from: 'beginning',
        async onRecords(records) {
          if (records[0]!.offset === 0) await first.promise
          given.push(...records.map(({ offset }) => offset))
        },
      },
    )
    await vi.waitFor(() => expect(broker.run).toHaveBeenCalled())
    broker.tell('join', { memberAssignment: { t: [0] }, memberId: 'm' })
    const fetches = [broker.fetch(0, 4), broker.fetch(4, 10)]
    first.resolve()
    await Promise.all(fetches)
    await tail.caughtUp
    expect(given).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    await tail.stop()
  })
})
