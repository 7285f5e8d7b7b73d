import { createHash, randomBytes } from 'node:crypto'
import { CompressionTypes, type Message } from 'kafkajs'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, onTestFailed, test, vi } from 'vitest'
import { completeStep } from '#lib/client/step-input'
import { expectExactlyOnce } from '../support/exactly-once.ts'
import { startPipeline, type Pipeline } from '../support/pipeline.ts'
import { makeStep, makeSteps, publishSteadily, tenantId } from '../support/pipeline-steps.ts'

const MIB = 1024 * 1024

// Real processes on a machine that may be slow: a limit for what hangs, not for what takes time.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 })

let pipeline: Pipeline
let failed = false
beforeAll(async () => {
  pipeline = await startPipeline({ stack: inject('stack') })
})
beforeEach(() => onTestFailed(() => void (failed = true)))
afterAll(() => pipeline?.stopAll({ failed }))

/** A record that must end as a dead letter, with the result that its step gets where it can be named. */
interface Bad {
  name: string
  message: Message
  code: string
  /** Null where nobody can tell whose step it is. */
  stepId: string | null
}

const json = (stepId: string, more: object = {}) => Buffer.from(JSON.stringify({ ...makeStep(stepId), ...more }))

/** A JSON step of about this size, which gzip makes small enough for the topic. */
const large = (stepId: string, bytes: number) =>
  json(stepId, { request: { messages: [{ role: 'user', content: 'all work and no play '.repeat(bytes / 21) }] } })

function badRecords(): Bad[] {
  const encoded = pipeline.codec.encode('step', completeStep(makeStep('truncated')))
  const unknownSchema = Buffer.from(encoded)
  unknownSchema.writeUInt32BE(987_654_321, 1)
  return [
    {
      name: 'garbage bytes',
      message: { key: 'g', value: Buffer.concat([Buffer.from([0xff]), randomBytes(300)]) },
      code: 'SHUNT_EVENT_UNDECODABLE',
      stepId: null,
    },
    {
      name: 'garbage bytes without a key',
      message: { value: Buffer.concat([Buffer.from([0]), randomBytes(4), randomBytes(300)]) },
      code: 'SHUNT_EVENT_UNDECODABLE',
      stepId: null,
    },
    {
      name: 'a schema id that does not exist',
      message: { key: 'u', value: unknownSchema },
      code: 'SHUNT_EVENT_UNDECODABLE',
      stepId: null,
    },
    {
      name: 'Avro that is cut off',
      message: { key: 'c', value: encoded.subarray(0, 20) },
      code: 'SHUNT_EVENT_UNDECODABLE',
      stepId: null,
    },
    { name: 'no value', message: { key: 'n', value: null }, code: 'SHUNT_EVENT_UNDECODABLE', stepId: null },
    {
      name: 'an empty value',
      message: { key: 'e', value: Buffer.alloc(0) },
      code: 'SHUNT_EVENT_UNDECODABLE',
      stepId: null,
    },
    {
      name: 'JSON that ends too early',
      message: { key: 'j', value: json('cut').subarray(0, 60) },
      code: 'SHUNT_EVENT_INVALID',
      stepId: null,
    },
    {
      name: 'JSON without a request',
      message: { key: 'r', value: Buffer.from(JSON.stringify({ stepId: 'no-request', taskId: 't', tenantId })) },
      code: 'SHUNT_EVENT_INVALID',
      stepId: 'no-request',
    },
    {
      name: 'an unknown tenant',
      message: { key: 't', value: json('unknown-tenant', { tenantId: 'initech' }) },
      code: 'SHUNT_TENANT_UNKNOWN',
      stepId: 'unknown-tenant',
    },
    {
      name: 'a request field that Shunt does not do',
      message: {
        key: 'f',
        value: json('audio', { request: { messages: [{ role: 'user', content: 'x' }], audio: {} } }),
      },
      code: 'SHUNT_REQUEST_UNSUPPORTED',
      stepId: 'audio',
    },
    {
      name: 'several answers asked for',
      message: { key: 'a', value: json('n-2', { request: { messages: [{ role: 'user', content: 'x' }], n: 2 } }) },
      code: 'SHUNT_REQUEST_UNSUPPORTED',
      stepId: 'n-2',
    },
    {
      name: 'a critical constraint that nobody knows',
      message: { key: 'k', value: json('critical', { constraints: { critical: ['quantumSafe'] } }) },
      code: 'SHUNT_CONSTRAINT_UNKNOWN',
      stepId: 'critical',
    },
    {
      name: '2 MB, compressed',
      message: { key: '2', value: large('large-2', 2 * MIB) },
      code: 'SHUNT_EVENT_TOO_LARGE',
      stepId: 'large-2',
    },
    {
      name: '20 MB, compressed',
      message: { key: '20', value: large('large-20', 20 * MIB), headers: { 'content-type': 'application/json' } },
      code: 'SHUNT_EVENT_TOO_LARGE',
      stepId: 'large-20',
    },
  ]
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

describe('I7: what cannot be decoded or validated', () => {
  test('lies in agent.deadletter with its bytes, ends its step where it can be named, and stops nothing', async () => {
    const bad = badRecords()
    const good = makeSteps(200, 'good')
    const publishing = publishSteadily(pipeline.client, good, 50)
    const producer = pipeline.kafka.producer()
    await producer.connect()
    const origins: string[] = []
    for (const topic of ['agent.steps', 'agent.steps.batch'] as const)
      for (const { message } of bad) {
        const [sent] = await producer.send({
          topic: pipeline.topic(topic),
          messages: [message],
          compression: CompressionTypes.GZIP,
        })
        origins.push(`${sent!.topicName}/${sent!.partition}/${sent!.baseOffset}`)
      }
    await producer.disconnect()
    await publishing
    await pipeline.untilIdle()

    const letters = new Map((await pipeline.collectDeadLetters()).map((letter) => [letter.origin, letter]))
    expect([...letters.keys()].toSorted()).toEqual(origins.toSorted())
    for (const [i, origin] of origins.entries()) {
      const { name, message, code } = bad[i % bad.length]!
      const letter = letters.get(origin)!
      expect(letter.code, name).toBe(code)
      expect(sha256(letter.bytes), name).toBe(sha256((message.value as Buffer | null) ?? Buffer.alloc(0)))
      expect(letter.headers['x-shunt-tombstone'], name).toBe(message.value === null ? 'true' : undefined)
      expect(letter.headers['content-type'], name).toBe(message.headers?.['content-type'])
    }

    // A rejected record claims nothing: each of the two that name a step has its result, which names its source.
    const results = await pipeline.collectResults()
    const [rejected, others] = [
      results.filter(({ status }) => status === 'rejected'),
      results.filter(({ status }) => status !== 'rejected'),
    ]
    expectExactlyOnce(good, others)
    const named = (origin: string, stepId: string | null, code: string | null) => `${origin} ${stepId} ${code}`
    const expected = origins.flatMap((origin, i) => {
      const { stepId, code } = bad[i % bad.length]!
      return stepId === null ? [] : [named(origin, stepId, code)]
    })
    const found = rejected.map(({ stepId, code, origin: { topic, partition, offset } }) =>
      named(`${topic}/${partition}/${offset}`, stepId, code),
    )
    expect(found.toSorted()).toEqual(expected.toSorted())
    await pipeline.expectAudit()
    for (const service of ['classifier', 'oss-pool', 'frontier'] as const)
      expect(await pipeline.notReady(service, 0)).toBe('')
    expect(pipeline.deaths()).toBe(0)
  })
})
