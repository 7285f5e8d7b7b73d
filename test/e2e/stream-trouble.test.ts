import { randomBytes } from 'node:crypto'
import { CompressionTypes } from 'kafkajs'
import { afterEach, describe, expect, inject, test } from 'vitest'
import { ShuntError } from '#lib/errors'
import { deadLetterHeaders, deadLetters } from '#lib/stream/dead-letter'
import type { Handle, InboundRecord, Reject } from '#lib/stream/types'
import { createStreamRig, type StreamRig } from '../support/stream-rig.ts'

const stack = inject('stack')
let rig: StreamRig

afterEach(() => rig.end())

const echo: Handle = (record) =>
  Promise.resolve({ records: [{ topic: rig.topic('agent.results'), key: keyOf(record), value: record.value }] })

const reject: Reject = (record, error) =>
  Promise.resolve({ records: deadLetters(record, error, { topic: rig.topic('agent.deadletter'), nowMs: Date.now() }) })

function keyOf(record: InboundRecord): string {
  return String(record.key)
}

describe('a record that cannot be handled', () => {
  test('I7: is in the dead letters with its bytes, and the others are handled', async () => {
    rig = createStreamRig(stack)
    await rig.apply()
    const reader = await rig.read('agent.results', 'agent.deadletter')
    const tries = new Map<string, number>()
    rig.startStage('classifier', {
      reject,
      handle: (record, signal) => {
        const key = keyOf(record)
        tries.set(key, (tries.get(key) ?? 0) + 1)
        if (key === 'invalid') throw new ShuntError('SHUNT_EVENT_INVALID', 'no such field')
        if (key === 'defect') throw new TypeError('x is not a function')
        if (key === 'later' && tries.get(key) === 1)
          throw new ShuntError('SHUNT_REDIS_UNAVAILABLE', 'away', { retryable: true })
        return echo(record, signal)
      },
    })
    const bytes = randomBytes(2_000)
    const keys = ['one', 'invalid', 'two', 'defect', 'later', 'three']
    await rig.publish(
      'agent.steps',
      keys.map((key) => ({ key, value: bytes })),
    )
    await rig.allDone('classifier')
    await reader.caughtUp()
    expect(
      reader
        .records(rig.topic('agent.results'))
        .map((record) => record.key)
        .toSorted(),
    ).toEqual(['later', 'one', 'three', 'two'])
    const letters = new Map(reader.records(rig.topic('agent.deadletter')).map((letter) => [letter.key, letter]))
    expect([...letters.keys()].toSorted()).toEqual(['defect', 'invalid'])
    expect(letters.get('invalid')?.value?.equals(bytes)).toBe(true)
    expect(letters.get('invalid')?.headers).toMatchObject({
      [deadLetterHeaders.topic]: rig.topic('agent.steps'),
      [deadLetterHeaders.code]: 'SHUNT_EVENT_INVALID',
      [deadLetterHeaders.message]: 'no such field',
    })
    expect(letters.get('defect')?.headers[deadLetterHeaders.code]).toBe('TypeError')
    expect([tries.get('invalid'), tries.get('defect'), tries.get('later')]).toEqual([1, 3, 2])
  })

  test('I7: values of 2 MB and 20 MB, published compressed, survive in parts; small ones go on meanwhile', async () => {
    rig = createStreamRig(stack)
    await rig.apply(1)
    const reader = await rig.read('agent.results', 'agent.deadletter')
    const { stage } = rig.startStage('classifier', {
      reject,
      handle: (record, signal) => {
        if ((record.value?.length ?? 0) > 1024 * 1024) throw new ShuntError('SHUNT_EVENT_TOO_LARGE', 'over 1 MiB')
        return echo(record, signal)
      },
    })
    const values = new Map(
      [2, 20].map((megabytes) => [
        `large-${megabytes}`,
        Buffer.alloc(megabytes * 1_000_000, `${megabytes} MB of text. `),
      ]),
    )
    const producer = rig.kafka('large').producer()
    await producer.connect()
    for (const [key, value] of values)
      await producer.send({
        topic: rig.topic('agent.steps'),
        compression: CompressionTypes.GZIP,
        messages: [
          { key, value },
          { key: `after ${key}`, value: 'small' },
        ],
      })
    await producer.disconnect()
    await rig.allDone('classifier')
    await reader.caughtUp()
    expect(reader.records(rig.topic('agent.results')).map((record) => record.key)).toEqual([
      'after large-2',
      'after large-20',
    ])
    for (const [key, value] of values) {
      const parts = reader.records(rig.topic('agent.deadletter')).filter((letter) => letter.key === key)
      expect(Buffer.concat(parts.map((part) => part.value ?? Buffer.alloc(0))).equals(value)).toBe(true)
      expect(parts.map((part) => Number(part.headers[deadLetterHeaders.part] ?? 1))).toEqual(
        parts.map((_, index) => index + 1),
      )
    }
    expect(stage.status().bufferedBytes).toBe(0)
  })

  test.each(['gzip', 'snappy', 'lz4', 'zstd'])(
    'I7: records that were compressed by %s are read',
    async (compression) => {
      rig = createStreamRig(stack)
      const admin = rig.kafka('admin').admin()
      await admin.connect()
      // The broker compresses what it is given, as any publisher may.
      const configEntries = [{ name: 'compression.type', value: compression }]
      await admin.createTopics({
        topics: [{ topic: rig.topic('agent.steps'), numPartitions: 1, configEntries }],
        waitForLeaders: true,
      })
      await admin.disconnect()
      await rig.apply(1)
      const reader = await rig.read('agent.results')
      rig.startStage('classifier', { handle: echo })
      const values = [randomBytes(100_000), Buffer.alloc(300_000, 'abcabcd'), Buffer.from('x'), Buffer.alloc(70_000)]
      await rig.publish(
        'agent.steps',
        values.map((value, index) => ({ key: `k${index}`, value })),
      )
      await rig.allDone('classifier')
      await reader.caughtUp()
      const read = new Map(reader.records(rig.topic('agent.results')).map((record) => [record.key, record.value]))
      expect(values.map((value, index) => read.get(`k${index}`)?.equals(value))).toEqual(values.map(() => true))
    },
  )

  test('an output that no topic takes is rejected, and the records committed beside it are not held up', async () => {
    rig = createStreamRig(stack)
    await rig.apply(1)
    const reader = await rig.read('agent.audit', 'agent.deadletter')
    rig.startStage('classifier', {
      reject,
      // agent.audit takes 1 MiB: below the stage's own bound, so only the broker can tell.
      handle: (record) =>
        Promise.resolve({
          records: [
            {
              topic: rig.topic('agent.audit'),
              key: keyOf(record),
              value: keyOf(record) === 'large' ? randomBytes(2_000_000) : record.value,
            },
          ],
        }),
    })
    const keys = Array.from({ length: 40 }, (_, index) => (index === 17 ? 'large' : `small-${index}`))
    await rig.publish(
      'agent.steps',
      keys.map((key) => ({ key, value: 'x' })),
    )
    await rig.allDone('classifier')
    await reader.caughtUp()
    expect(
      reader
        .records(rig.topic('agent.audit'))
        .map((record) => record.key)
        .toSorted(),
    ).toEqual(keys.filter((key) => key !== 'large').toSorted())
    const [letter] = reader.records(rig.topic('agent.deadletter'))
    expect(letter?.key).toBe('large')
    expect(letter?.headers[deadLetterHeaders.code]).toBe('SHUNT_EVENT_TOO_LARGE')
  })
})

test('I7: a record that kills its process ends in the dead letters, and everything else is handled', async () => {
  rig = createStreamRig(stack)
  await rig.apply(2)
  const reader = await rig.read('agent.results', 'agent.deadletter')
  const jobs = Array.from({ length: 60 }, (_, index) => ({
    id: `job-${index}`,
    ms: 5,
    ...(index === 23 ? { kills: true } : {}),
  }))
  await rig.publishJobs(jobs)
  const supervising = new AbortController()
  const worker = { deaths: 0, current: rig.startWorker('a') }
  const supervise = async () => {
    while (!supervising.signal.aborted) {
      await worker.current.exited
      if (supervising.signal.aborted) return
      worker.deaths += 1
      worker.current = rig.startWorker('a')
    }
  }
  const supervised = supervise()
  await rig.allDone('classifier', 100_000)
  supervising.abort()
  worker.current.process.kill('SIGTERM')
  await supervised
  await reader.caughtUp()
  expect(new Set(reader.records(rig.topic('agent.results')).map((record) => record.key)).size).toBe(59)
  expect(reader.records(rig.topic('agent.results'))).toHaveLength(59)
  const letters = reader.records(rig.topic('agent.deadletter'))
  expect(letters.map((letter) => [letter.key, letter.headers[deadLetterHeaders.code]])).toEqual([
    ['job-23', 'SHUNT_POISON'],
  ])
  // Two unclean ends until the lane is suspect, and three with the record alone.
  expect(worker.deaths).toBeLessThanOrEqual(6)
})
