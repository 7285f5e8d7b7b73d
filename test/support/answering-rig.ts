import { randomUUID } from 'node:crypto'
import { Kafka, logLevel, Partitioners, type Message } from 'kafkajs'
import { pino } from 'pino'
import { createChain } from '#lib/audit/chain'
import { duplicateDraft, formatOrigin, sha256 } from '#lib/audit/records'
import { createCodec, type Codec } from '#lib/events/codec'
import { registerSchemas } from '#lib/events/register-schemas'
import { createRegistry } from '#lib/events/registry'
import { parseStep } from '#lib/events/parse-step'
import { buildStepResult } from '#lib/events/step-result'
import { inNamespace, topicNames } from '#lib/events/topics'
import type { AgentStep, StepOrigin } from '#lib/events/types.generated'
import { applyTopics } from '#lib/stream/apply-topics'
import { createKafkaFactory, producerConfig, type KafkaFactory } from '#lib/stream/kafka'
import { createTail } from '#lib/stream/tail'
import type { StackAddresses } from '../../cli/stack/stack.ts'

export type Reply = 'once' | 'twice' | 'never'

/** Stands in for the services where a test is about clients alone: it answers by order, even wrongly. */
export interface AnsweringRig {
  namespace: string
  env: Record<string, string>
  codec: Codec
  kafka: KafkaFactory
  /** Steps that were read, in no certain order. */
  steps(): { step: AgentStep; origin: StepOrigin }[]
  /** Writes one result for each of the steps in one transaction, as a lane does. */
  writeResults(steps: readonly { step: AgentStep; origin: StepOrigin }[]): Promise<void>
  stop(): Promise<void>
}

const log = pino({ level: 'silent' })

export async function startAnsweringRig(
  stack: StackAddresses,
  reply: (step: AgentStep) => Reply = () => 'once',
): Promise<AnsweringRig> {
  const namespace = `test-${randomUUID().slice(0, 8)}`
  const topic = (name: (typeof topicNames)[number]) => inNamespace(namespace, name)
  await registerSchemas(createRegistry(stack.registryUrl), namespace)
  const codec = await createCodec({ registryUrl: stack.registryUrl, namespace, log })
  const kafka = createKafkaFactory({ log }, { brokers: [...stack.brokers] })
  await applyTopics(
    { kafka, log, nowMs: Date.now, encodeOrder: (order) => codec.encode('control-order', order) },
    { namespace, partitions: 3, actor: 'test' },
  )
  const producer = kafka('rig').producer(producerConfig(`${namespace}.rig`))
  await producer.connect()
  const claims = new Map<string, StepOrigin>()
  const steps: { step: AgentStep; origin: StepOrigin }[] = []
  const chain = createChain({ encode: (link) => codec.encode('audit-record', link), topic: topic('agent.audit') })
  let head: string | null = null
  let writing: Promise<void> = Promise.resolve()

  const messageOf = ({ step, origin }: { step: AgentStep; origin: StepOrigin }): Message => ({
    key: step.taskId,
    value: codec.encode(
      'step-result',
      buildStepResult(step, origin, [], {
        status: 'completed',
        code: null,
        message: null,
        answer: '{"choices":[]}',
        answeredBy: null,
        reasons: [],
        policyHash: null,
        finishedAtMs: Date.now(),
      }),
    ),
  })

  /** One transaction at a time: a producer can have only one. */
  function write(target: string, messages: Message[]): Promise<void> {
    const before = writing
    writing = (async () => {
      await before
      const transaction = await producer.transaction()
      await transaction.send({ topic: target, messages })
      await transaction.commit()
    })()
    return writing
  }

  const tail = createTail(
    { kafka, log },
    {
      topics: [topic('agent.steps'), topic('agent.steps.batch')],
      from: 'beginning',
      async onRecord(record) {
        const step = await parseStep(record, codec)
        const origin: StepOrigin = {
          topic: record.topic,
          partition: record.partition,
          offset: record.offset,
          receivedAtMs: record.timestampMs,
        }
        const key = `${step.tenantId}/${step.stepId}`
        const first = claims.get(key)
        if (first) {
          const draft = duplicateDraft(codec, {
            stepId: step.stepId,
            taskId: step.taskId,
            tenantId: step.tenantId,
            origin,
            first: formatOrigin(first),
            contentHash: sha256(record.value!),
          })
          const sealed = chain.seal('rig/steps/0', head, [draft])
          head = sealed.head
          await write(
            topic('agent.audit'),
            sealed.records.map(({ key, value }) => ({ key, value })),
          )
          return
        }
        claims.set(key, origin)
        steps.push({ step, origin })
        const times = { once: 1, twice: 2, never: 0 }[reply(step)]
        for (let i = 0; i < times; i++) await write(topic('agent.results'), [messageOf({ step, origin })])
      },
    },
  )

  return {
    namespace,
    env: {
      KAFKA_BROKERS: stack.brokers.join(','),
      SCHEMA_REGISTRY_URL: stack.registryUrl,
      REDIS_URL: stack.redisUrl,
      SHUNT_NAMESPACE: namespace,
    },
    codec,
    kafka,
    steps: () => steps,
    writeResults: (ended) => write(topic('agent.results'), ended.map(messageOf)),
    async stop() {
      await tail.stop()
      await writing
      await producer.disconnect()
      const admin = new Kafka({ brokers: [...stack.brokers], logLevel: logLevel.NOTHING }).admin()
      await admin.connect()
      await admin.deleteTopics({ topics: topicNames.map(topic) })
      await admin.disconnect()
    },
  }
}

/** Partition of a key among `count`, as Java's default partitioner has it. */
export function murmur2Partition(key: string, count: number): number {
  const partitionMetadata = Array.from({ length: count }, (_, partitionId) => ({
    partitionErrorCode: 0,
    partitionId,
    leader: 0,
    replicas: [0],
    isr: [0],
  }))
  return Partitioners.DefaultPartitioner()({ topic: 't', partitionMetadata, message: { key, value: null } })
}
