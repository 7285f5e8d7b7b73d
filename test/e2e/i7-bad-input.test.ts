import { createHash } from 'node:crypto'
import { CompressionTypes } from 'kafkajs'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, onTestFailed, test, vi } from 'vitest'
import { badRecords } from '../support/bad-records.ts'
import { expectExactlyOnce } from '../support/exactly-once.ts'
import { startPipeline, type Pipeline } from '../support/pipeline.ts'
import { makeSteps, publishSteadily } from '../support/pipeline-steps.ts'

// Real processes on a machine that may be slow: a limit for what hangs, not for what takes time.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 })

let pipeline: Pipeline
let failed = false
beforeAll(async () => {
  pipeline = await startPipeline({ stack: inject('stack') })
})
beforeEach(() => onTestFailed(() => void (failed = true)))
afterAll(() => pipeline?.stopAll({ failed }))

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

describe('I7: what cannot be decoded or validated', () => {
  test('lies in agent.deadletter with its bytes, ends its step where it can be named, and stops nothing', async () => {
    const bad = badRecords(pipeline.codec)
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
