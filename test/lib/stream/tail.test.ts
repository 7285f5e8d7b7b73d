import type { Admin, Consumer, Kafka } from 'kafkajs'
import { describe, expect, test, vi } from 'vitest'
import { createTail } from '#lib/stream/tail'

const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** One partition, offsets 0 to 9, whose consumer does what the test says. */
function brokerOf(admin: Partial<Admin> = {}) {
  const listeners = new Map<string, (event: { payload: object }) => void>()
  const run = vi.fn<() => Promise<void>>(() => Promise.resolve())
  const done = () => Promise.resolve()
  const consumer = {
    events: { HEARTBEAT: 'heartbeat', GROUP_JOIN: 'join', START_BATCH_PROCESS: 'batch', CRASH: 'crash' },
    on: (name: string, listener: (event: { payload: object }) => void) => listeners.set(name, listener),
    connect: done,
    subscribe: done,
    run,
    seek: () => {},
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
})
