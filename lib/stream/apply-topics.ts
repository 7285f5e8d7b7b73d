import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Admin, ITopicMetadata } from 'kafkajs'
import { ShuntError } from '#lib/errors'
import { isResultsTopic } from '#lib/events/results-topic'
import { inNamespace, outsideNamespace, topicNames, topics, type Topic, type TopicSpec } from '#lib/events/topics'
import type { ControlOrder } from '#lib/events/types.generated'
import type { Logger } from '#lib/telemetry/logger'
import { kafkaErrorType } from './kafka-errors.ts'
import { producerConfig, transactionalIdOf, type KafkaFactory } from './kafka.ts'
import { createLaneLog, fence } from './lane-log.ts'
import { encodeProgress, initialProgress } from './progress-codec.ts'
import { stageGroupNames, stageGroups } from './stage-groups.ts'
import { markerName, readMarkers } from './topic-markers.ts'
import { setRetentions, type RetentionChange } from './topic-retention.ts'
import { commitTransaction } from './transaction.ts'
import type { OutboundRecord } from './types.ts'

export interface ApplyTopicsDeps {
  kafka: KafkaFactory
  /** Value of an order in agent.control. */
  encodeOrder: (order: ControlOrder) => Buffer
  nowMs: () => number
  log: Pick<Logger, 'warn' | 'info' | 'debug' | 'error'>
}

export interface ApplyTopicsOptions {
  namespace: string
  /** Least number of partitions of topics that may have several; more are kept, and agent.audit keeps what it has. @default 4 */
  partitions?: number
  /** -1 leaves it to the broker. @default -1 */
  replicationFactor?: number
  /** Topics of tenants for their results, without namespace, beside those that are there. @default none */
  resultsTopics?: readonly string[]
  /**
   * Milliseconds by topic, without namespace; -1 is for ever. For topics that exist too. agent.results stands for the
   * tenants' own ones that are not named. @default as Shunt creates them; what exists stays as it is
   */
  retention?: ReadonlyMap<string, number>
  /** Lets `retention` be shorter than what a topic has, which deletes records. @default false */
  shorten?: boolean
  /** Of topics that are made now, by their names without namespace. @default as Shunt creates them */
  maxMessageBytes?: ReadonlyMap<Topic, number>
  /** Who applies; stands in the markers. */
  actor: string
}

/** What was done; all empty when everything stood already. */
export interface AppliedTopics {
  created: string[]
  /** Topics that were given more partitions. */
  grown: string[]
  /** Topics that existed and keep their records for another time now. */
  retained: RetentionChange[]
  /** Lanes, as group/topic/partition, that were given their first offset. */
  started: string[]
  /** Lanes whose offset is gone although they once had one: `shunt lanes recover` rebuilds them. */
  lost: string[]
}

/** Between the acknowledgement of a new topic and the moment when every broker knows it, ms. */
const metadataTimeoutMs = 30_000
const coordinatorMoves = new Set([
  'GROUP_LOAD_IN_PROGRESS',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR_FOR_GROUP',
])
const unsettled = new Set(['UNKNOWN_TOPIC_OR_PARTITION', 'LEADER_NOT_AVAILABLE'])

/**
 * Makes topics, partitions, and once for each lane its first offset with a marker in agent.control. May be run any
 * number of times, and while services run: it never touches a lane that has an offset or had one.
 *
 * Configurations of topics that exist are left alone, since sites set their own; but for a retention that is asked for.
 * Throws SHUNT_CONFIG_INVALID where that would delete records and `shorten` is not set.
 */
export async function applyTopics(deps: ApplyTopicsDeps, options: ApplyTopicsOptions): Promise<AppliedTopics> {
  const admin = deps.kafka('shunt-topics').admin()
  await admin.connect()
  try {
    const ensured = await ensureTopics(admin, options)
    const lanes = await ensureLanes(deps, admin, options)
    return { ...ensured, ...lanes }
  } finally {
    await admin.disconnect()
  }
}

async function ensureTopics(
  admin: Admin,
  options: ApplyTopicsOptions,
): Promise<Pick<AppliedTopics, 'created' | 'grown' | 'retained'>> {
  const existing = new Set(await admin.listTopics())
  const shared = topicNames.map((topic) => {
    const maxMessageBytes = options.maxMessageBytes?.get(topic) ?? topics[topic].maxMessageBytes
    return { topic: inNamespace(options.namespace, topic), spec: { ...topics[topic], maxMessageBytes } }
  })
  const given = (options.resultsTopics ?? []).map((topic) => inNamespace(options.namespace, topic))
  const ofTenants = new Set([...existing].filter((topic) => isResultsTopic(options.namespace, topic)).concat(given))
  for (const { topic } of shared) ofTenants.delete(topic)
  const all = [...shared, ...[...ofTenants].map((topic) => ({ topic, spec: topics['agent.results'] }))]
  const retentionOf = (topic: string): number | undefined =>
    options.retention?.get(outsideNamespace(options.namespace, topic)) ??
    (isResultsTopic(options.namespace, topic) ? options.retention?.get('agent.results') : undefined)
  const wanted = all.map(({ topic, spec }) => ({
    topic,
    retentionMs: retentionOf(topic),
    numPartitions: spec.partitions === 'single' ? 1 : (options.partitions ?? 4),
    grows: spec.partitions === 'growing',
    replicationFactor: options.replicationFactor ?? -1,
    configEntries: configOf({ ...spec, retentionMs: retentionOf(topic) ?? spec.retentionMs }),
  }))
  const unknown = [...(options.retention?.keys() ?? [])].find(
    (bare) => !wanted.some(({ topic }) => topic === inNamespace(options.namespace, bare)),
  )
  if (unknown !== undefined)
    throw new ShuntError('SHUNT_CONFIG_INVALID', `${unknown} gets a retention, and is neither there nor in the policy`)
  const missing = wanted.filter(({ topic }) => !existing.has(topic))
  // Before anything is made: it may refuse.
  const named = wanted.flatMap(({ topic, retentionMs }) =>
    existing.has(topic) && retentionMs !== undefined ? [[topic, retentionMs] as const] : [],
  )
  const retained = await setRetentions(admin, new Map(named), { shorten: options.shorten ?? false })
  // Not kafkajs's own wait for leaders: it gives up where the broker answers before it knows the new topic itself.
  if (missing.length > 0) await admin.createTopics({ topics: missing, waitForLeaders: false })
  const partitionsOf = await untilShown(admin, new Map(wanted.map(({ topic }) => [topic, 1])))
  const small = wanted.filter(
    ({ topic, grows, numPartitions }) => grows && (partitionsOf.get(topic) ?? 0) < numPartitions,
  )
  if (small.length > 0) {
    await admin.createPartitions({
      topicPartitions: small.map(({ topic, numPartitions }) => ({ topic, count: numPartitions })),
    })
    await untilShown(admin, new Map(small.map(({ topic, numPartitions }) => [topic, numPartitions])))
  }
  return { created: missing.map(({ topic }) => topic), grown: small.map(({ topic }) => topic), retained }
}

/**
 * The number of partitions of each topic, once the broker shows at least as many as expected, each with a leader. A
 * broker acknowledges topics and partitions before it shows them, and a lane not seen here would get no first offset.
 * Throws SHUNT_TOPICS_NOT_APPLIED (retryable).
 */
async function untilShown(admin: Admin, expected: ReadonlyMap<string, number>): Promise<Map<string, number>> {
  const deadline = performance.now() + metadataTimeoutMs
  for (;;) {
    let problem: unknown
    try {
      const { topics: shown } = await admin.fetchTopicMetadata({ topics: [...expected.keys()] })
      const ready = ({ name, partitions }: ITopicMetadata) =>
        partitions.length >= (expected.get(name) ?? 0) && partitions.every(({ leader }) => leader >= 0)
      if (shown.length === expected.size && shown.every(ready))
        return new Map(shown.map(({ name, partitions }) => [name, partitions.length]))
    } catch (error) {
      if (!unsettled.has(kafkaErrorType(error) ?? '')) throw error
      problem = error
    }
    if (performance.now() > deadline)
      throw new ShuntError('SHUNT_TOPICS_NOT_APPLIED', 'the broker does not show all topics yet; run it again', {
        retryable: true,
        cause: problem,
      })
    await sleep(100)
  }
}

function configOf(spec: TopicSpec): { name: string; value: string }[] {
  const config = {
    'max.message.bytes': String(spec.maxMessageBytes),
    'cleanup.policy': spec.compacted ? 'compact' : 'delete',
    ...(spec.compacted ? {} : { 'retention.ms': String(spec.retentionMs) }),
    ...spec.extraConfig,
  }
  return Object.entries(config).map(([name, value]) => ({ name, value }))
}

async function ensureLanes(
  deps: ApplyTopicsDeps,
  admin: Admin,
  options: ApplyTopicsOptions,
): Promise<{ started: string[]; lost: string[] }> {
  const controlTopic = inNamespace(options.namespace, 'agent.control')
  const markers = await readMarkers(deps, { controlTopic })
  const started: string[] = []
  const lost: string[] = []
  for (const groupName of stageGroupNames) {
    const group = inNamespace(options.namespace, groupName)
    const names = stageGroups[groupName].map((topic: Topic) => inNamespace(options.namespace, topic))
    for (const { topic, partitions } of await offsetsOf(admin, group, names))
      for (const { partition, offset } of partitions) {
        const lane = { group, topic, partition }
        const marker = markerName(group, topic, partition)
        const hasOffset = Number(offset) >= 0
        if (hasOffset && markers.has(marker)) continue
        if (!hasOffset && markers.has(marker)) lost.push(`${group}/${topic}/${partition}`)
        else if (await writeLane(deps, admin, options, { lane, marker, controlTopic, hasOffset }))
          started.push(`${group}/${topic}/${partition}`)
      }
  }
  return { started, lost }
}

/** kafkajs does not retry this one, and the coordinators of a broker that has just started are not there at once. */
async function offsetsOf(admin: Admin, groupId: string, names: string[]): ReturnType<Admin['fetchOffsets']> {
  const deadline = performance.now() + metadataTimeoutMs
  for (;;)
    try {
      return await admin.fetchOffsets({ groupId, topics: names })
    } catch (error) {
      if (!coordinatorMoves.has(kafkaErrorType(error) ?? '') || performance.now() > deadline) throw error
      await sleep(100)
    }
}

/**
 * Marker and, unless there is one, offset 0 in one transaction, so that neither is ever there without the other. True
 * if the lane was given its offset. Another run of this may have started the lane since its offset was looked up, and
 * services may work on it: as a lane does, this fences, then reads, and writes only where there still is nothing.
 */
async function writeLane(
  deps: ApplyTopicsDeps,
  admin: Admin,
  options: ApplyTopicsOptions,
  at: {
    lane: { group: string; topic: string; partition: number }
    marker: string
    controlTopic: string
    hasOffset: boolean
  },
): Promise<boolean> {
  const { group, topic, partition } = at.lane
  const order: ControlOrder = {
    name: at.marker,
    orderId: randomUUID(),
    actor: options.actor,
    reason: 'topics apply',
    atMs: deps.nowMs(),
    value: JSON.stringify({ group, topic, partition }),
  }
  const record: OutboundRecord = { topic: at.controlTopic, key: at.marker, value: deps.encodeOrder(order) }
  const transactionalId = transactionalIdOf(group, topic, partition)
  const producer = deps.kafka('shunt-topics').producer(producerConfig(at.hasOffset ? undefined : transactionalId))
  const laneLog = createLaneLog(admin, at.lane)
  try {
    if (at.hasOffset) {
      // A running lane holds the transactional id: only the marker is missing, and it needs no transaction.
      await producer.connect()
      await producer.send({ topic: record.topic, messages: [{ key: record.key, value: record.value }] })
      return false
    }
    // Looked up before fencing as well, since fencing a lane that runs makes it open anew.
    if (await laneLog.committed()) return false
    await fence(producer)
    if (await laneLog.committed()) return false
    const metadata = encodeProgress(initialProgress(0))
    await commitTransaction(producer, [record], { ...at.lane, offset: 0, metadata })
    return true
  } catch (error) {
    throw new ShuntError('SHUNT_TOPICS_NOT_APPLIED', `cannot start lane ${group}/${topic}/${partition}; run it again`, {
      retryable: true,
      cause: error,
    })
  } finally {
    await producer.disconnect().catch(() => {})
  }
}
