import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, inject, test } from 'vitest'
import { createTail } from '#lib/stream/tail'
import type { Handle } from '#lib/stream/types'
import { createLogger } from '#lib/telemetry/logger'
import { createStreamRig, type StreamRig } from '../support/stream-rig.ts'
import { waitUntil } from '../support/wait-until.ts'

const stack = inject('stack')
const log = createLogger('test', 'silent')
let rig: StreamRig

afterEach(() => rig.end())

const echo: Handle = (record) =>
  Promise.resolve({
    records: [{ topic: rig.topic('agent.results'), key: String(record.key), value: record.value }],
  })

function numbered(prefix: string, count: number): { key: string; value: string }[] {
  return Array.from({ length: count }, (_, index) => ({ key: `${prefix}-${index}`, value: 'x' }))
}

test('a stop lets what runs finish, starts nothing more, and repeats nothing afterwards', async () => {
  rig = createStreamRig(stack)
  await rig.apply(2)
  const reader = await rig.read('agent.results')
  const handled: string[] = []
  const slow: Handle = async (record, signal) => {
    handled.push(String(record.key))
    await sleep(300)
    return echo(record, signal)
  }
  const first = rig.startStage('classifier', { handle: slow, maxInFlight: 8 })
  await rig.publish('agent.steps', numbered('k', 40))
  await waitUntil(() => first.stage.status().inFlight === 8, 'all slots to be in use')
  await first.stop()
  const handledByFirst = handled.length
  expect(handledByFirst).toBeLessThan(40)
  await reader.caughtUp()
  expect(reader.count(rig.topic('agent.results'))).toBe(handledByFirst)

  rig.startStage('classifier', { handle: slow, maxInFlight: 64 })
  await rig.allDone('classifier')
  expect(handled.toSorted()).toEqual(
    numbered('k', 40)
      .map(({ key }) => key)
      .toSorted(),
  )
})

test('work that outlasts the drain is aborted, and done by the next owner', async () => {
  rig = createStreamRig(stack)
  await rig.apply(1)
  const reader = await rig.read('agent.results')
  let aborted = 0
  const hang: Handle = (_, signal) =>
    new Promise((_resolve, fail) => {
      signal.addEventListener('abort', () => {
        aborted += 1
        fail(new Error('aborted'))
      })
    })
  const first = rig.startStage('classifier', { handle: hang, drainMs: 300 })
  await rig.publish('agent.steps', numbered('k', 5))
  await waitUntil(() => first.stage.status().inFlight === 5, 'work to be under way')
  expect(first.stage.status().lag).toBe(5)
  await first.stop()
  expect(aborted).toBe(5)
  rig.startStage('classifier', { handle: echo })
  await rig.allDone('classifier')
  await reader.caughtUp()
  expect(reader.count(rig.topic('agent.results'))).toBe(5)
})

test('records of one order key are handled one at a time and in order, others beside them', async () => {
  rig = createStreamRig(stack)
  await rig.apply(2)
  const order = new Map<string, number[]>()
  const busy = new Set<string>()
  let overlaps = 0
  let atOnce = 0
  const { stage } = rig.startStage('classifier', {
    orderKey: (record) => String(record.key),
    handle: async (record, signal) => {
      const key = String(record.key)
      if (busy.has(key)) overlaps += 1
      busy.add(key)
      atOnce = Math.max(atOnce, busy.size)
      await sleep(Math.random() * 20)
      busy.delete(key)
      order.set(key, [...(order.get(key) ?? []), Number(record.value)])
      return echo(record, signal)
    },
  })
  const records = Array.from({ length: 300 }, (_, index) => ({ key: `key-${index % 12}`, value: String(index) }))
  await rig.publish('agent.steps', records)
  await rig.allDone('classifier')
  expect(overlaps).toBe(0)
  expect(atOnce).toBeGreaterThan(3)
  for (const seen of order.values()) expect(seen).toEqual(seen.toSorted((a, b) => a - b))
  expect(stage.status().bufferedBytes).toBe(0)
})

test('a backlog of batch work leaves interactive records their slots, and gets its own share', async () => {
  rig = createStreamRig(stack)
  await rig.apply(2)
  const ends: { topic: string; atMs: number }[] = []
  const { stage } = rig.startStage('classifier', {
    maxInFlight: 8,
    handle: async (record, signal) => {
      await sleep(20)
      ends.push({ topic: record.topic, atMs: performance.now() })
      return echo(record, signal)
    },
  })
  await waitUntil(() => stage.status().ready, 'lanes to open')
  await rig.publish('agent.steps.batch', numbered('b', 1_500))
  await waitUntil(() => ends.length > 50, 'the backlog to be worked on')
  await rig.publish('agent.steps', numbered('i', 300))
  await waitUntil(() => ends.filter((end) => end.topic === rig.topic('agent.steps')).length === 300, 'interactive work')
  const interactive = ends.filter((end) => end.topic === rig.topic('agent.steps'))
  const from = interactive[0]?.atMs ?? 0
  const to = interactive.at(-1)?.atMs ?? 0
  const batchMeanwhile = ends.filter(
    (end) => end.topic !== rig.topic('agent.steps') && end.atMs >= from && end.atMs <= to,
  )
  // Six slots of eight, so about a hundred batch records beside three hundred; all of them would be first in line otherwise.
  expect(batchMeanwhile.length).toBeGreaterThan(30)
  expect(batchMeanwhile.length).toBeLessThan(300)
})

test('one slow record holds up no other', async () => {
  rig = createStreamRig(stack)
  await rig.apply(1)
  const reader = await rig.read('agent.results')
  const slow = Promise.withResolvers<void>()
  const { stage } = rig.startStage('classifier', {
    handle: async (record, signal) => {
      if (String(record.key) === 'slow') await slow.promise
      return echo(record, signal)
    },
  })
  await rig.publish('agent.steps', [{ key: 'slow', value: 'x' }, ...numbered('k', 3_000)])
  await waitUntil(() => reader.count(rig.topic('agent.results')) === 3_000, 'all others')
  expect(stage.status().lanes.find((lane) => lane.topic === rig.topic('agent.steps'))?.low).toBe(0)
  slow.resolve()
  await rig.allDone('classifier')
  await reader.caughtUp()
  expect(reader.count(rig.topic('agent.results'))).toBe(3_001)
})

describe('tail', () => {
  test('reads from the beginning, tells when it has caught up, follows, and leaves no group behind', async () => {
    rig = createStreamRig(stack)
    await rig.apply(2)
    await rig.publish('agent.results', numbered('old', 20))
    const seen: string[] = []
    const tail = createTail(
      { kafka: rig.kafka, log },
      {
        topics: [rig.topic('agent.results')],
        from: 'beginning',
        groupPrefix: `${rig.namespace}.tail`,
        onRecord: (record) => {
          if (seen.push(String(record.key)) === 3) throw new Error('one record is bad')
        },
      },
    )
    await tail.caughtUp
    expect(seen).toHaveLength(20)
    await rig.publish('agent.results', numbered('new', 5))
    await waitUntil(() => seen.length === 25, 'new records')
    await tail.stop()
    const admin = rig.kafka('admin').admin()
    await admin.connect()
    const { groups } = await admin.listGroups()
    await admin.disconnect()
    expect(groups.filter(({ groupId }) => groupId.startsWith(`${rig.namespace}.tail`))).toEqual([])
  })

  test('from the end it has everything written after it caught up, and nothing before', async () => {
    rig = createStreamRig(stack)
    await rig.apply(2)
    await rig.publish('agent.results', numbered('old', 20))
    const seen: string[] = []
    const tail = createTail(
      { kafka: rig.kafka, log },
      { topics: [rig.topic('agent.results')], from: 'end', onRecord: (record) => void seen.push(String(record.key)) },
    )
    await tail.caughtUp
    await rig.publish('agent.results', numbered('new', 5))
    await waitUntil(() => seen.length >= 5, 'new records')
    await tail.stop()
    expect(seen.toSorted()).toEqual(numbered('new', 5).map(({ key }) => key))
  })

  test('sees no record of a transaction that was aborted', async () => {
    rig = createStreamRig(stack)
    await rig.apply(1)
    const producer = rig.kafka('p').producer({ transactionalId: `${rig.namespace}.aborting`, idempotent: true })
    await producer.connect()
    const transaction = await producer.transaction()
    await transaction.send({ topic: rig.topic('agent.results'), messages: numbered('aborted', 3) })
    await transaction.abort()
    await producer.disconnect()
    const seen: string[] = []
    const tail = createTail(
      { kafka: rig.kafka, log },
      {
        topics: [rig.topic('agent.results')],
        from: { [rig.topic('agent.results')]: { 0: 1 } },
        onRecord: (record) => void seen.push(String(record.key)),
      },
    )
    await tail.caughtUp
    await tail.stop()
    expect(seen).toEqual([])
  })
})
