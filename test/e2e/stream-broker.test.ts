import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, inject, onTestFinished, test } from 'vitest'
import { createTail } from '#lib/stream/tail'
import { createLogger } from '#lib/telemetry/logger'
import { startKafka } from '../../cli/stack/kafka.ts'
import { createStreamRig } from '../support/stream-rig.ts'
import { waitUntil } from '../support/wait-until.ts'

test('I1: stage and tail go on by themselves after the broker was killed and came back', async () => {
  const dir = mkdtempSync(join(inject('runDirectory'), 'broker-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  let broker = await startKafka({ dir })
  onTestFinished(() => broker.kill9())
  const port = Number(broker.brokers[0]?.split(':').at(-1))
  const rig = createStreamRig({ brokers: broker.brokers, redisUrl: inject('stack').redisUrl })
  onTestFinished(() => rig.end())

  await rig.apply(2)
  const followed: string[] = []
  const log = createLogger('test', 'silent')
  const tail = createTail(
    { kafka: rig.kafka, log },
    {
      topics: [rig.topic('agent.results')],
      from: 'beginning',
      onRecord: (record) => void followed.push(String(record.key)),
    },
  )
  onTestFinished(() => tail.stop())
  const { stage } = rig.startStage('classifier', {
    maxInFlight: 16,
    handle: async (record) => {
      await sleep(30)
      return { records: [{ topic: rig.topic('agent.results'), key: String(record.key), value: record.value }] }
    },
  })
  const ids = Array.from({ length: 1_500 }, (_, index) => `job-${index}`)
  await rig.publish(
    'agent.steps',
    ids.map((key) => ({ key, value: 'x' })),
  )
  await waitUntil(() => followed.length > 100, 'work to be under way')
  await broker.kill9()
  const before = followed.length
  expect(before).toBeLessThan(ids.length)
  broker = await startKafka({ dir, port })
  await rig.allDone('classifier', 90_000)
  expect(stage.status().ready).toBe(true)
  await waitUntil(() => followed.length >= ids.length, 'the tail to follow')
  const reader = await rig.read('agent.results')
  await reader.caughtUp()
  const results = reader.records(rig.topic('agent.results')).map((record) => record.key)
  expect(results.toSorted()).toEqual(ids.toSorted())
  expect(followed.toSorted()).toEqual(ids.toSorted())
})
