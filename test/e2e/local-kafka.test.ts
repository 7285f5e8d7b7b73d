import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { expect, inject, onTestFinished, test, vi } from 'vitest'
import { warnOfLossyBroker } from '#lib/stream/broker-release'
import { startKafka } from '../../cli/stack/kafka.ts'

function client(brokers: string[]): Kafka {
  return new Kafka({ clientId: 'local-kafka-test', brokers, logLevel: logLevel.NOTHING })
}

async function publish(kafka: Kafka, topic: string, values: string[]): Promise<void> {
  const admin = kafka.admin()
  const producer = kafka.producer()
  await Promise.all([admin.connect(), producer.connect()])
  await admin.createTopics({ topics: [{ topic, numPartitions: 1 }] })
  await producer.send({ topic, acks: -1, messages: values.map((value) => ({ value })) })
  await Promise.all([admin.disconnect(), producer.disconnect()])
}

async function readBack(kafka: Kafka, topic: string, count: number): Promise<string[]> {
  const consumer = kafka.consumer({ groupId: randomUUID() })
  const values: string[] = []
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await new Promise<void>((resolve, reject) => {
    consumer
      .run({
        eachMessage: async ({ message }) => {
          values.push(message.value?.toString() ?? '')
          if (values.length === count) resolve()
        },
      })
      .catch(reject)
  })
  await consumer.disconnect()
  return values
}

test('a local Kafka that was killed comes back with its records, on a port of its own', async () => {
  const dir = mkdtempSync(join(inject('runDirectory'), 'own-kafka-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  const values = ['one', 'two', 'three']

  const first = await startKafka({ dir })
  onTestFinished(() => first.kill9())
  await publish(client(first.brokers), 'kept', values)
  await first.kill9()
  expect(await first.ended).toBe('SIGKILL')

  const second = await startKafka({ dir })
  onTestFinished(() => second.kill9())
  expect(await readBack(client(second.brokers), 'kept', values.length)).toEqual(values)
  await second.stop()
  expect(await second.ended).toMatch(/SIGTERM|exit code (0|143)/)
})

test('the release that the local stack runs is told, and none that loses transactions', async () => {
  const log = { warn: vi.fn<() => void>(), debug: vi.fn<() => void>() }
  await warnOfLossyBroker(log, inject('stack').brokers)
  expect(log.debug).not.toHaveBeenCalled()
  expect(log.warn).not.toHaveBeenCalled()
})
