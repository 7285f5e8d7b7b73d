import type { Admin, Producer } from 'kafkajs'
import { epochStart, formatHead, linkHash } from '#lib/audit/chain'
import { ShuntError } from '#lib/errors'
import type { Codec } from '#lib/events/codec'
import { inNamespace, topics as topicSpecs, type Topic } from '#lib/events/topics'
import type { AuditRecord, RoutedStep } from '#lib/events/types.generated'
import type { Logger } from '#lib/telemetry/logger'
import { producerConfig, transactionalIdOf, type KafkaFactory } from './kafka.ts'
import { isDone, noEvidence, noteDeadLetter, noteLink, progressOf, type LaneEvidence } from './lane-evidence.ts'
import { laneName } from './lane.ts'
import { encodeProgress } from './progress-codec.ts'
import { stageGroupNames, stageGroups } from './stage-groups.ts'
import { createTail } from './tail.ts'
import { markerName, readMarkers } from './topic-markers.ts'
import { commitTransaction } from './transaction.ts'
import type { InboundRecord, Journal } from './types.ts'

export interface RecoverLanesDeps {
  kafka: KafkaFactory
  codec: Pick<Codec, 'encode' | 'decode'>
  journal: Journal
  nowMs: () => number
  log: Pick<Logger, 'warn' | 'info' | 'debug' | 'error'>
}

export interface RecoveredLane {
  group: string
  topic: string
  partition: number
  /** Offset that was committed: the lowest that is not done. */
  low: number
  /** Records above it that are not done although later ones are. */
  incomplete: number
  /** Epoch that the lane's audit chain goes on with. */
  epoch: number
}

interface LostLane {
  group: string
  bareTopic: Topic
  topic: string
  partition: number
  name: string
  producer: Producer
  evidence: LaneEvidence
  undone: number[]
  highestDone: number
}

/**
 * Rebuilds what the broker lost: for every lane with a marker and no offset, the offset and what is incomplete above it,
 * from agent.audit and the dead letters, and opens a new epoch of its chain that names the last link found. Services may
 * run meanwhile; the lanes open by themselves afterwards.
 *
 * Why is nothing lost or doubled? A record's links, its outputs and its offset were committed together, so a record
 * without a link has no outputs either. The one exception is a step in the wrong twin, which moves without a link: it is
 * moved again, and its second copy is found to be a duplicate by the claim on its step.
 *
 * Throws SHUNT_PROGRESS_TOO_LARGE where so many records are open between done ones that no commit can name them, which
 * no lane of ours leaves behind: then the audit itself has holes.
 */
export async function recoverLanes(
  deps: RecoverLanesDeps,
  options: { namespace: string; reason: string },
): Promise<RecoveredLane[]> {
  const admin = deps.kafka('shunt-recover').admin()
  await admin.connect()
  const lanes: LostLane[] = []
  try {
    for (const lane of await findLost(deps, admin, options)) {
      // Fenced before the audit is read: an owner that still ran could commit behind our back.
      await lane.producer.connect()
      lanes.push(lane)
      await (await lane.producer.transaction()).abort()
    }
    if (lanes.length === 0) return []
    await gatherEvidence(deps, options.namespace, lanes)
    const recovered: RecoveredLane[] = []
    for (const lane of lanes) recovered.push(await commitRecovered(deps, options, lane))
    return recovered
  } finally {
    for (const lane of lanes) await lane.producer.disconnect().catch(() => {})
    await admin.disconnect().catch(() => {})
  }
}

async function findLost(deps: RecoverLanesDeps, admin: Admin, options: { namespace: string }): Promise<LostLane[]> {
  const { namespace } = options
  const markers = await readMarkers(deps, { controlTopic: inNamespace(namespace, 'agent.control') })
  const lost: LostLane[] = []
  for (const groupName of stageGroupNames) {
    const group = inNamespace(namespace, groupName)
    for (const bareTopic of stageGroups[groupName]) {
      const topic = inNamespace(namespace, bareTopic)
      const [offsets] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
      for (const { partition, offset } of offsets?.partitions ?? []) {
        if (Number(offset) >= 0 || !markers.has(markerName(group, topic, partition))) continue
        const producer = deps
          .kafka('shunt-recover')
          .producer(producerConfig(transactionalIdOf(group, topic, partition)))
        const name = laneName(group, topic, partition)
        const found = { evidence: noEvidence(), undone: [], highestDone: -1 }
        lost.push({ group, bareTopic, topic, partition, name, producer, ...found })
      }
    }
  }
  return lost
}

/** One pass over the audit and the dead letters, then one over each topic that has lost lanes. */
async function gatherEvidence(deps: RecoverLanesDeps, namespace: string, lanes: readonly LostLane[]): Promise<void> {
  const byName = new Map(lanes.map((lane) => [lane.name, lane]))
  await readAll(deps, [inNamespace(namespace, 'agent.audit')], async (record) => {
    const lane = byName.get(record.key?.toString() ?? '')
    if (lane) await noteLink(lane.evidence, lane, await deps.codec.decode('audit-record', record.value), deps.codec)
  })
  await readAll(deps, [inNamespace(namespace, 'agent.deadletter')], (record) => {
    for (const lane of lanes) noteDeadLetter(lane.evidence, lane, record)
  })
  const byPlace = new Map(lanes.map((lane) => [`${lane.topic}/${lane.partition}`, lane]))
  await readAll(deps, [...new Set(lanes.map((lane) => lane.topic))], async (record) => {
    const lane = byPlace.get(`${record.topic}/${record.partition}`)
    if (!lane) return
    if (isDone(lane.evidence, record.offset, await routedStep(deps, lane, record))) lane.highestDone = record.offset
    else lane.undone.push(record.offset)
  })
}

/** Stops at the first record that `take` cannot take: recovering from half of the evidence would repeat work. */
async function readAll(
  deps: RecoverLanesDeps,
  topics: readonly string[],
  take: (record: InboundRecord) => void | Promise<void>,
): Promise<void> {
  let failure: { error: unknown } | null = null
  const tail = createTail(deps, {
    topics,
    from: 'beginning',
    groupPrefix: 'shunt-recover',
    onRecord: async (record) => {
      if (failure) return
      try {
        await take(record)
      } catch (error) {
        failure = { error }
      }
    },
  })
  try {
    await tail.caughtUp
  } finally {
    await tail.stop()
  }
  if (failure) throw (failure as { error: unknown }).error
}

/** The record's value where the lane reads routed steps; null for bytes that are none, which end as dead letters. */
async function routedStep(deps: RecoverLanesDeps, lane: LostLane, record: InboundRecord): Promise<RoutedStep | null> {
  if (topicSpecs[lane.bareTopic].schema !== 'routed-step') return null
  try {
    return await deps.codec.decode('routed-step', record.value)
  } catch (error) {
    if (error instanceof ShuntError && !error.retryable) return null
    throw error
  }
}

async function commitRecovered(
  deps: RecoverLanesDeps,
  options: { reason: string },
  lane: LostLane,
): Promise<RecoveredLane> {
  const { group, topic, partition, evidence } = lane
  const progress = progressOf(lane.undone, lane.highestDone)
  const { last } = evidence
  const epoch = (last?.epoch ?? 0) + 1
  const draft = { type: 'lane_reset' as const, body: resetBody(deps, last, options.reason) }
  const sealed = deps.journal.seal(lane.name, formatHead(epochStart(epoch)), [draft])
  const metadata = encodeProgress({ ...progress, head: sealed.head })
  await commitTransaction(lane.producer, sealed.records, { group, topic, partition, offset: progress.low, metadata })
  const recovered = { group, topic, partition, low: progress.low, incomplete: progress.incomplete.length, epoch }
  deps.log.info(recovered, 'lane recovered')
  return recovered
}

function resetBody(deps: RecoverLanesDeps, last: AuditRecord | null, reason: string): Buffer {
  return deps.codec.encode('lane-reset-record', {
    lastEpoch: last?.epoch ?? null,
    lastSeq: last?.seq ?? null,
    lastHash: last ? linkHash(last) : null,
    reason,
    atMs: deps.nowMs(),
  })
}
