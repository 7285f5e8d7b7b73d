import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { pino } from 'pino'
import { afterAll, expect, inject, test } from 'vitest'
import { createCodec } from '#lib/events/codec'
import { registerSchemas } from '#lib/events/register-schemas'
import { createRegistry } from '#lib/events/registry'
import { inNamespace } from '#lib/events/topics'
import type { AuditType } from '#lib/events/types.generated'
import { createLedgerState } from '#lib/ledger/ledger-state'
import { rebuildLedger } from '#lib/ledger/rebuild'
import { applyTopics } from '#lib/stream/apply-topics'
import { createKafkaFactory, producerConfig } from '#lib/stream/kafka'
import { clearNamespace } from '../../cli/stack/clear-namespace.ts'

const log = pino({ level: 'silent' })
const stack = inject('stack')
const namespace = `test-${randomUUID().slice(0, 8)}`
const kafka = createKafkaFactory({ log }, { brokers: [...stack.brokers] })
const redis = new Redis(stack.redisUrl)
afterAll(async () => {
  redis.disconnect()
  await clearNamespace(stack, namespace, log)
})

test('orders that the ledger has written down are no sign of work: windows open at once where nothing else is there', async () => {
  await registerSchemas(createRegistry(stack.registryUrl), namespace)
  const codec = await createCodec({ registryUrl: stack.registryUrl, namespace, log })
  await applyTopics(
    { kafka, log, nowMs: Date.now, encodeOrder: (order) => codec.encode('control-order', order) },
    { namespace, partitions: 1, actor: 'test' },
  )
  const producer = kafka('test').producer(producerConfig())
  await producer.connect()
  const write = (type: AuditType) => {
    const envelope = { chainId: 'c', epoch: 0, seq: 0, prevHash: Buffer.alloc(32), type, body: Buffer.from('-') }
    const value = codec.encode('audit-record', envelope)
    return producer.send({ topic: inNamespace(namespace, 'agent.audit'), messages: [{ key: 'c', value }] })
  }
  let opened = 0
  const rebuild = () =>
    rebuildLedger(
      { redis, kafka, codec, log, nowMs: Date.now, state: createLedgerState({ redis, namespace }) },
      { namespace, tenantIds: [], dedupeWindowMs: 1, settleMs: 0, onEmpty: () => Promise.resolve(void (opened += 1)) },
    )

  await rebuild()
  expect(opened).toBe(1)
  await write('operator')
  await write('policy_activated')
  await rebuild()
  expect(opened).toBe(2)
  await write('attempt')
  await rebuild()
  expect(opened).toBe(2)
  await producer.disconnect()
})
