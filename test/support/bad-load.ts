import { setTimeout as sleep } from 'node:timers/promises'
import type { Message } from 'kafkajs'
import { expect } from 'vitest'
import type { StepResult } from '#lib/events/types.generated'
import { badRecords, type Bad } from './bad-records.ts'
import type { Pipeline } from './pipeline.ts'

/** Of every kind that a fault might treat differently: no id, ids, and one that only the registry can judge. */
const kinds = ['garbage bytes', 'a schema id that does not exist', 'JSON that ends too early', 'an unknown tenant']
const topics = ['agent.steps', 'agent.steps.batch'] as const

export interface BadLoad {
  /** Resolves when all are published. */
  published: Promise<void>
  /**
   * I7: each of them that lies in its topic is in agent.deadletter with its bytes and code, and has the one rejected
   * result that its step can be named for. Call it when idle. Returns the results of other records.
   */
  expectDeadLetters(): Promise<StepResult[]>
}

/** Publishes bad records among a load, so that a fault meets them as well: `count` of them, four a second. */
export async function startBadLoad(pipeline: Pipeline, prefix: string, count: number): Promise<BadLoad> {
  const sent = new Map<string, Bad>()
  const producer = pipeline.kafka.producer()
  await producer.connect()

  async function publish(): Promise<void> {
    for (let n = 0; n < count; n++) {
      const bad = badRecords(pipeline.codec).find(({ name }) => name === kinds[n % kinds.length])!
      const key = `${prefix}-bad-${n}`
      sent.set(key, bad)
      const topic = pipeline.topic(topics[n % 3 === 0 ? 1 : 0])
      while (!(await isSent(topic, { ...bad.message, key }))) await sleep(500)
      await sleep(250)
    }
    await producer.disconnect()
  }

  /** False while the broker is away; it may have kept the record all the same. */
  async function isSent(topic: string, message: Message): Promise<boolean> {
    try {
      await producer.send({ topic, messages: [message] })
      return true
    } catch {
      return false
    }
  }

  return {
    published: publish(),
    async expectDeadLetters() {
      const letters = await pipeline.collectDeadLetters()
      const results = await pipeline.collectResults()
      // What lies in the topics, not what was acknowledged: a broker that was killed may have kept a record twice.
      const records = topics.flatMap((topic) => pipeline.read(topic)).filter(({ key }) => sent.has(key))
      expect(new Set(records.map(({ key }) => key))).toEqual(new Set(sent.keys()))
      const originOf = (at: { topic: string; partition: number; offset: number }) =>
        `${at.topic}/${at.partition}/${at.offset}`
      const named = []
      for (const record of records) {
        const { name, code, message, stepId } = sent.get(record.key)!
        const found = letters.filter(({ origin }) => origin === originOf(record))
        expect(found, `${name}: ${record.key}`).toMatchObject([{ code, bytes: message.value }])
        if (stepId !== null) named.push(`${originOf(record)} ${stepId} rejected`)
      }
      const origins = new Set(records.map(originOf))
      const [ofBad, others] = [true, false].map((isBad) =>
        results.filter(({ origin }) => origins.has(originOf(origin)) === isBad),
      ) as [StepResult[], StepResult[]]
      const told = ofBad.map(({ origin, stepId, status }) => `${originOf(origin)} ${stepId} ${status}`)
      expect(told.toSorted()).toEqual(named.toSorted())
      return others
    },
  }
}
