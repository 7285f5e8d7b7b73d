import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { consumerConfig, createKafkaFactory } from '#lib/stream/kafka'
import type { PoisonMemory } from '#lib/stream/poison'
import { createConsumerLoop } from '#lib/stream/consumer-loop'
import { createStage } from '#lib/stream/stage'
import { createTail } from '#lib/stream/tail'

// kafkajs goes on trying to connect for close to a minute; a service has 25 s to end.
const log = pino({ level: 'silent' })
const kafka = createKafkaFactory({ log }, { brokers: ['127.0.0.1:1'] })

const late = (ms: number) => sleep(ms).then(() => 'still there')

test('a stage that is stopped while no broker is there ends at once', async () => {
  const stop = new AbortController()
  const stage = createStage(
    { kafka, poison: {} as PoisonMemory, log, nowMs: Date.now },
    {
      group: 'g',
      topics: [{ name: 't', lane: 'interactive' }],
      controlTopic: 'c',
      replica: 'a',
      handle: () => Promise.resolve({ records: [] }),
      reject: () => Promise.resolve({ records: [] }),
    },
  )
  const running = stage.run(stop.signal)
  await sleep(200)
  stop.abort()
  expect(await Promise.race([running, late(3_000)])).toBeUndefined()
})

test('a consumer that is stopped while no broker is there ends at once', async () => {
  const stop = new AbortController()
  const events = { joined: () => {}, heartbeat: () => {}, fetched: () => {}, left: () => {} }
  const loop = createConsumerLoop({ kafka, log }, { clientId: 'c', config: consumerConfig('g'), topics: ['t'], events })
  const running = loop.run(stop.signal)
  await sleep(200)
  stop.abort()
  expect(await Promise.race([running, late(3_000)])).toBeUndefined()
})

test('a tail that is stopped while no broker is there ends soon, and was never caught up', async () => {
  const tail = createTail({ kafka, log }, { topics: ['t'], from: 'end', onRecord: () => {} })
  await sleep(200)
  const caughtUp = tail.caughtUp.then(
    () => 'caught up',
    () => 'stopped',
  )
  expect(await Promise.race([tail.stop(), late(5_000)])).toBeUndefined()
  expect(await caughtUp).toBe('stopped')
})
