import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { createCodec, type Codec } from '#lib/events/codec'
import { registerSchemas } from '#lib/events/register-schemas'
import { createRegistry } from '#lib/events/registry'
import { inNamespace, type Topic } from '#lib/events/topics'
import { activatePolicy } from '#lib/policy/activate'
import { readScorerFile } from '#lib/policy/scorer-file'
import { parsePolicy, type LoadedPolicy } from '#lib/policy/load'
import { createPolicyStore, policyOrderName, type PolicyStore } from '#lib/policy/policy-store'
import { applyTopics } from '#lib/stream/apply-topics'
import { createKafkaFactory, producerConfig, type KafkaFactory } from '#lib/stream/kafka'
import { waitUntil } from '../support/wait-until.ts'

const log = pino({ level: 'silent' })
const namespace = `test-${randomUUID().slice(0, 8)}`
const sample = readFileSync(new URL('../../samples/policy.yaml', import.meta.url), 'utf8')
const policyWith = (maxAttempts: number) =>
  parsePolicy(sample.replace('maxAttempts: 3', `maxAttempts: ${maxAttempts}`), 'p', readScorerFile().hash)
const order = { namespace, actor: 'test', reason: 'test' }

let kafka: KafkaFactory
let codec: Codec
const stores: PolicyStore[] = []

beforeAll(async () => {
  const stack = inject('stack')
  kafka = createKafkaFactory({ log }, { brokers: [...stack.brokers] })
  await registerSchemas(createRegistry(stack.registryUrl), namespace)
  codec = await createCodec({ registryUrl: stack.registryUrl, namespace, log })
  await applyTopics(
    { kafka, log, nowMs: Date.now, encodeOrder: (value) => codec.encode('control-order', value) },
    { namespace, partitions: 1, actor: 'test' },
  )
})
afterAll(async () => {
  await Promise.all(stores.map((store) => store[Symbol.asyncDispose]()))
})

function openStore(): PolicyStore {
  const store = createPolicyStore({ kafka, codec, log }, { namespace })
  stores.push(store)
  return store
}

const activate = (loaded: LoadedPolicy) => activatePolicy({ kafka, codec, nowMs: Date.now }, loaded, order)

async function send(topic: Topic, key: string, value: Buffer): Promise<void> {
  const producer = kafka('policy-test').producer(producerConfig())
  await producer.connect()
  await producer.send({ topic: inNamespace(namespace, topic), acks: -1, messages: [{ key, value }] })
  await producer.disconnect()
}

test('every process follows the policy in force, keeps the ones before, and passes over what it cannot read', async () => {
  const early = openStore()
  expect(await early.ready()).toBe(false)
  expect(early.inForce()).toBeUndefined()

  const first = policyWith(3)
  await activate(first)
  await waitUntil(() => early.inForce()?.hash === first.hash, 'the first policy to be in force')
  expect(early.inForce()?.policy).toEqual(first.policy)

  // Bytes of nobody, content that is not what its hash says, and an order for a policy that is not there.
  const encodeOrder = (hash: string) =>
    codec.encode('control-order', {
      name: policyOrderName,
      orderId: 'o',
      actor: 'a',
      reason: 'r',
      atMs: 1,
      value: JSON.stringify({ hash }),
    })
  await send('agent.policies', 'garbage', Buffer.from('garbage'))
  await send(
    'agent.policies',
    'ff',
    codec.encode('policy-record', {
      hash: 'ff',
      type: 'policy',
      part: 0,
      parts: 1,
      content: Buffer.from(first.content),
    }),
  )
  await send('agent.control', policyOrderName, encodeOrder('ff'))
  const late = openStore()
  expect(await late.ready()).toBe(false)
  expect(late.byHash(first.hash)?.policy).toEqual(first.policy)
  expect(early.inForce()?.hash).toBe(first.hash)

  const second = policyWith(5)
  await activate(second)
  for (const store of [early, late]) {
    await waitUntil(() => store.inForce()?.hash === second.hash, 'the second policy to be in force')
    expect(store.byHash(first.hash)?.policy.limits.maxAttempts).toBe(3)
    expect(store.byHash('ff')).toBeUndefined()
  }
  const next = openStore()
  expect(await next.ready()).toBe(true)
  expect(next.inForce()?.hash).toBe(second.hash)
})
