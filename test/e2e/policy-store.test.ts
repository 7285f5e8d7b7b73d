import { randomUUID } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { openKafkaSource } from '#lib/audit/kafka-source'
import { readPolicyLibrary } from '#lib/audit/policy-library'
import { createCodec, type Codec } from '#lib/events/codec'
import { registerSchemas } from '#lib/events/register-schemas'
import { createRegistry } from '#lib/events/registry'
import { inNamespace, type Topic } from '#lib/events/topics'
import { activatePolicy } from '#lib/policy/activate'
import { readScorerFile } from '#lib/policy/scorer-file'
import { parsePolicy, type LoadedPolicy } from '#lib/policy/load'
import { policyOrderName, policyOrderValue } from '#lib/policy/policy-order'
import { createPolicyStore, type PolicyStore, type PolicyStoreDeps } from '#lib/policy/policy-store'
import { trainedHashOf } from '#lib/policy/scorer-choice'
import { partKey, scorerBytes, splitScorer, type ScorerBytes } from '#lib/policy/scorer-parts'
import { handWeighted } from '#lib/routing/score'
import { applyTopics } from '#lib/stream/apply-topics'
import { createKafkaFactory, producerConfig, type KafkaFactory } from '#lib/stream/kafka'
import { addPolicyCommand } from '../../cli/commands/policy.ts'
import { samplePolicy } from '../../cli/policy-file.ts'
import { prepareStack } from '../../cli/stack/prepare.ts'
import { runCommand } from '../support/run-command.ts'
import { waitUntil } from '../support/wait-until.ts'

const log = pino({ level: 'silent' })
const namespace = `test-${randomUUID().slice(0, 8)}`
const sample = readFileSync(new URL('../../samples/policy.yaml', import.meta.url), 'utf8')
const policyWith = (maxAttempts: number, scorerHash = readScorerFile().hash) =>
  parsePolicy(sample.replace('maxAttempts: 3', `maxAttempts: ${maxAttempts}`), 'p', scorerHash)
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

function openStore(reads: Pick<PolicyStoreDeps, 'readScorer'> = {}): PolicyStore {
  const store = createPolicyStore({ kafka, codec, log, ...reads }, { namespace })
  stores.push(store)
  return store
}

const activate = (loaded: LoadedPolicy, scorer: ScorerBytes | null = null) =>
  activatePolicy({ kafka, codec, nowMs: Date.now }, loaded, { ...order, scorer })

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
      value: policyOrderValue(hash),
    })
  const absent = 'ff'.repeat(32)
  await send('agent.policies', 'garbage', Buffer.from('garbage'))
  await send(
    'agent.policies',
    absent,
    codec.encode('policy-record', {
      hash: absent,
      type: 'policy',
      part: 0,
      parts: 1,
      content: Buffer.from(first.content),
    }),
  )
  await send('agent.control', policyOrderName, encodeOrder(absent))
  const late = openStore()
  expect(await late.ready()).toBe(false)
  expect(late.byHash(first.hash)?.policy).toEqual(first.policy)
  expect(early.inForce()?.hash).toBe(first.hash)

  const second = policyWith(5)
  await activate(second)
  for (const store of [early, late]) {
    await waitUntil(() => store.inForce()?.hash === second.hash, 'the second policy to be in force')
    expect(store.byHash(first.hash)?.policy.limits.maxAttempts).toBe(3)
    expect(store.byHash(absent)).toBeUndefined()
  }
  const next = openStore()
  expect(await next.ready()).toBe(true)
  expect(next.inForce()?.hash).toBe(second.hash)
})

test('where steps are scored, a policy comes in force once its scorer is whole, which is read once', async () => {
  // Of three parts each; what is in them is the reader's business.
  const scorerOf = (seed: number) => scorerBytes(Buffer.alloc(1_900_000, `scorer ${seed} `))
  const [wanted, other] = [scorerOf(1), scorerOf(2)]
  const readHashes: string[] = []
  const readScorer = (_bytes: Buffer, hash: string) => {
    readHashes.push(hash)
    return { scorer: { ...handWeighted, hash }, reference: [], kinds: {} }
  }
  const sendPart = (scorer: ScorerBytes, part: number, content?: Buffer) => {
    const record = splitScorer(scorer)[part]!
    const value = codec.encode('policy-record', { ...record, content: content ?? record.content })
    return send('agent.policies', partKey(record), value)
  }

  const before = policyWith(6, other.hash)
  await activate(before, other)
  const [scoring, plain] = [openStore({ readScorer }), openStore()]
  expect(await scoring.ready()).toBe(true)
  expect(scoring.inForce()).toMatchObject({ hash: before.hash, trained: { scorer: { hash: other.hash } } })

  // Ordered without its scorer: a process that scores nothing follows, one that scores keeps what it had.
  const next = policyWith(7, wanted.hash)
  await activate(next)
  await waitUntil(() => plain.inForce()?.hash === next.hash, 'the policy in a process that scores nothing')
  expect(plain.inForce()?.trained).toBeNull()
  await waitUntil(() => scoring.byHash(next.hash) !== undefined, 'the policy to be known')
  expect(scoring.inForce()?.hash).toBe(before.hash)

  // Last part first, one of another scorer between them, one damaged: all are there, and it is not the scorer.
  await sendPart(wanted, 2)
  await sendPart(other, 1)
  await sendPart(wanted, 0, Buffer.from('damaged'))
  await sendPart(wanted, 1)
  const marker = policyWith(8, other.hash)
  await send('agent.policies', marker.hash, policyRecord(marker))
  await waitUntil(() => scoring.byHash(marker.hash) !== undefined, 'all of it to be read')
  expect(scoring.hasScorer(wanted.hash)).toBe(false)
  expect(scoring.inForce()?.hash).toBe(before.hash)

  await activate(next, wanted)
  await waitUntil(() => scoring.inForce()?.hash === next.hash, 'the policy with its scorer')
  expect(scoring.inForce()?.trained?.scorer.hash).toBe(wanted.hash)
  // Back and forth costs no second reading.
  await activate(before, other)
  await waitUntil(() => scoring.inForce()?.hash === before.hash, 'the policy before')
  expect(readHashes).toEqual([other.hash, wanted.hash])

  // Whoever starts later finds the parts as compaction or the log has them.
  const late = openStore({ readScorer })
  expect(await late.ready()).toBe(true)
  expect(late.hasScorer(wanted.hash)).toBe(true)
  expect(late.inForce()?.trained?.scorer.hash).toBe(other.hash)
})

test('whichever way a policy comes in force, policy and scorer can be found by their hashes', async () => {
  const stack = inject('stack')
  const own = `test-${randomUUID().slice(0, 8)}`
  const started = { namespace: own, policyFile: samplePolicy, partitions: 1, log }
  expect(await prepareStack({ ...stack, brokers: [...stack.brokers] }, started)).toBe(true)
  const env = {
    KAFKA_BROKERS: stack.brokers.join(','),
    SCHEMA_REGISTRY_URL: stack.registryUrl,
    REDIS_URL: stack.redisUrl,
    SHUNT_NAMESPACE: own,
  }
  const changed = join(mkdtempSync(join(tmpdir(), 'shunt-policy-')), 'policy.yaml')
  writeFileSync(changed, sample.replace('maxAttempts: 3', 'maxAttempts: 9'))
  await runCommand([addPolicyCommand], ['policy', 'activate', changed], '', env)
  rmSync(dirname(changed), { recursive: true })

  const registry = createRegistry(stack.registryUrl)
  const ownCodec = await createCodec({ registryUrl: stack.registryUrl, namespace: own, log })
  await using source = openKafkaSource({ kafka, codec: ownCodec, registry, log }, own)
  const library = await readPolicyLibrary(source)
  const { hash: shipped } = readScorerFile()
  expect([...library.policyHashes]).toEqual([policyWith(3).hash, policyWith(9).hash])
  for (const hash of library.policyHashes) expect(trainedHashOf(library.policy(hash)!)).toBe(shipped)
  expect(library.scorer(shipped)?.scorer.hash).toBe(shipped)
  expect([...library.orphans]).toEqual([])
})

function policyRecord({ hash, content }: LoadedPolicy): Buffer {
  return codec.encode('policy-record', { hash, type: 'policy', part: 0, parts: 1, content: Buffer.from(content) })
}
