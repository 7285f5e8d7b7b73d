import { SchemaRegistry } from '@kafkajs/confluent-schema-registry'
import { Kafka, logLevel } from 'kafkajs'
import { inNamespace, topicNames, type Topic } from '#lib/events/topics'
import type { AuditRecord, StepResult } from '#lib/events/types.generated'
import { stageGroups, stageGroupNames } from '#lib/stream/stage-groups'
import type { StackAddresses } from '../../cli/stack/stack.ts'
import { expectAuditTellsOf, expectWholeChains, type ReadLink } from './audit-chains.ts'
import { startTopicReader, type ReadRecord } from './topic-reader.ts'
import { waitUntil } from './wait-until.ts'

export interface DeadLetter {
  /** topic/partition/offset of the record. */
  origin: string
  code: string
  /** Parts joined. */
  bytes: Buffer
  headers: Record<string, string>
}

export interface PipelineRecords {
  /** Records of a topic, as read so far. */
  read(topic: Topic): ReadRecord[]
  /** All results so far, also those in topics of tenants. */
  collectResults(): Promise<StepResult[]>
  collectAudit(): Promise<ReadLink[]>
  collectDeadLetters(): Promise<DeadLetter[]>
  /** Resolves when so many results are there. */
  untilResults(count: number, timeoutMs?: number): Promise<void>
  /** Resolves when every record of every topic was handled, and handling them led to no more. */
  untilIdle(timeoutMs?: number): Promise<void>
  /** The audit is whole and tells the same as the results. Call it when idle. */
  expectAudit(): Promise<{ links: number; chains: number; epochs: number }>
}

/** What lies in a namespace's topics, read by a client that owes nothing to lib/. */
export async function openRecords(options: {
  stack: StackAddresses
  namespace: string
  /** Of tenants, without namespace. @default none */
  resultsTopics?: readonly string[]
}): Promise<PipelineRecords & { close(): Promise<void> }> {
  const { stack, namespace } = options
  const inTest = (topic: string) => inNamespace(namespace, topic)
  const resultsTopics = ['agent.results', ...(options.resultsTopics ?? [])]
  const all = [...topicNames, ...(options.resultsTopics ?? [])].map(inTest)
  const reader = await startTopicReader({ brokers: stack.brokers, topics: all })
  const registry = new SchemaRegistry({ host: stack.registryUrl })
  const decoded = new Map<Buffer, Promise<unknown>>()
  const admin = new Kafka({
    clientId: 'test-records',
    brokers: [...stack.brokers],
    logLevel: logLevel.NOTHING,
    retry: { retries: 60, initialRetryTime: 50, maxRetryTime: 1_000 },
  }).admin()
  await admin.connect()

  function decode(value: Buffer | null): Promise<unknown> {
    if (value === null) throw new Error('a record without a value')
    const known = decoded.get(value) ?? registry.decode(value)
    decoded.set(value, known)
    return known
  }

  async function collect(topic: string): Promise<{ record: ReadRecord; value: unknown }[]> {
    await reader.caughtUp()
    return Promise.all(
      reader.records(inTest(topic)).map(async (record) => ({ record, value: await decode(record.value) })),
    )
  }

  async function collectResults(): Promise<StepResult[]> {
    return (await Promise.all(resultsTopics.map(collect))).flat().map(({ value }) => value as StepResult)
  }

  async function collectAudit(): Promise<ReadLink[]> {
    const links = await collect('agent.audit')
    return Promise.all(
      links.map(async ({ record: { partition, offset }, value }) => {
        const record = value as AuditRecord
        return { partition, offset, record, body: await decode(record.body) }
      }),
    )
  }

  /** Lanes whose committed offset is not past their last record. */
  async function busyLanes(): Promise<string[]> {
    const busy: string[] = []
    for (const group of stageGroupNames) {
      const topics = stageGroups[group].map(inTest)
      const last = new Map<string, number>()
      for (const topic of topics)
        for (const { partition, offset } of reader.records(topic)) last.set(`${topic}/${partition}`, offset)
      for (const { topic, partitions } of await admin.fetchOffsets({ groupId: inNamespace(namespace, group), topics }))
        for (const { partition, offset } of partitions) {
          const end = last.get(`${topic}/${partition}`)
          if (end !== undefined && Number(offset) <= end) busy.push(`${topic}/${partition} at ${offset} of ${end}`)
        }
    }
    return busy
  }

  const total = () => all.reduce((sum, topic) => sum + reader.count(topic), 0)

  return {
    read: (topic) => reader.records(inTest(topic)),
    collectResults,
    collectAudit,
    async collectDeadLetters() {
      await reader.caughtUp()
      const parts = Map.groupBy(
        reader.records(inTest('agent.deadletter')),
        ({ headers }) => `${headers['x-shunt-topic']}/${headers['x-shunt-partition']}/${headers['x-shunt-offset']}`,
      )
      return [...parts].map(([origin, records]) => {
        const first = records[0]!
        const numbers = records.map(({ headers }) => headers['x-shunt-part'] ?? '1').join()
        const expected = Array.from({ length: Number(first.headers['x-shunt-parts'] ?? 1) }, (_, i) => i + 1).join()
        if (numbers !== expected) throw new Error(`dead letter of ${origin}: parts ${numbers}, expected ${expected}`)
        const bytes = Buffer.concat(records.map(({ value }) => value ?? Buffer.alloc(0)))
        return { origin, code: first.headers['x-shunt-code'] ?? '', bytes, headers: first.headers }
      })
    },
    async untilResults(count, timeoutMs) {
      const there = () => resultsTopics.reduce((sum, topic) => sum + reader.count(inTest(topic)), 0)
      await waitUntil(
        () => there() >= count,
        () => `${count} results, there are ${there()}`,
        timeoutMs,
      )
    },
    async untilIdle(timeoutMs = 60_000) {
      let before = -1
      let busy: string[] = []
      await waitUntil(
        async () => {
          await reader.caughtUp()
          const now = total()
          busy = await busyLanes()
          // What was committed between the two looks shows in a third.
          await reader.caughtUp()
          const idle = busy.length === 0 && now === before && now === total()
          before = now
          return idle
        },
        () => `the pipeline to be idle: ${busy.slice(0, 5).join(', ')}`,
        timeoutMs,
      )
    },
    async expectAudit() {
      const links = await collectAudit()
      const chains = expectWholeChains(links)
      expectAuditTellsOf(await collectResults(), links)
      const epochs = new Set(links.map(({ record }) => `${record.chainId} ${record.epoch}`))
      return { links: links.length, chains: chains.size, epochs: epochs.size }
    },
    async close() {
      await reader.stop()
      await admin.disconnect()
    },
  }
}
