import { afterEach, describe, expect, inject, test } from 'vitest'
import { applyTopics } from '#lib/stream/apply-topics'
import { producerConfig, transactionalIdOf, type KafkaFactory } from '#lib/stream/kafka'
import { encodeProgress, initialProgress } from '#lib/stream/progress-codec'
import { stageGroupNames, stageGroups } from '#lib/stream/stage-groups'
import { commitTransaction } from '#lib/stream/transaction'
import type { Handle } from '#lib/stream/types'
import { createStreamRig, type StreamRig } from '../support/stream-rig.ts'
import { waitUntil } from '../support/wait-until.ts'

const stack = inject('stack')
let rig: StreamRig

afterEach(() => rig.end())

const echo: Handle = (record) =>
  Promise.resolve({
    records: [{ topic: rig.topic('agent.results'), key: String(record.key), value: record.value }],
  })

describe('offsets', () => {
  test('without applied topics lanes wait, name the command, and open once it was run', async () => {
    rig = createStreamRig(stack)
    const admin = rig.kafka('admin').admin()
    await admin.connect()
    const names = (
      ['agent.steps', 'agent.steps.batch', 'agent.steps.reroute', 'agent.steps.reroute.batch'] as const
    ).map((topic) => rig.topic(topic))
    const all = [...names, rig.topic('agent.control')]
    await admin.createTopics({ topics: all.map((topic) => ({ topic, numPartitions: 1 })), waitForLeaders: true })
    await admin.disconnect()
    const { stage } = rig.startStage('classifier', { handle: echo })
    await waitUntil(
      () => stage.status().lanes.filter((lane) => lane.state === 'blocked').length === 4,
      'lanes to say why',
    )
    expect(stage.status().lanes[0]).toMatchObject({
      code: 'SHUNT_TOPICS_NOT_APPLIED',
      message: expect.stringContaining('shunt topics apply'),
    })
    expect(stage.status().ready).toBe(false)
    await rig.apply(1)
    await waitUntil(() => stage.status().ready, 'the lanes to open')
  })

  test('a lane that lost its offset refuses to start over, the others go on, and it opens once recovered', async () => {
    rig = createStreamRig(stack)
    await rig.apply(2)
    const reader = await rig.read('agent.results')
    const first = rig.startStage('classifier', { handle: echo })
    await rig.publish(
      'agent.steps',
      Array.from({ length: 50 }, (_, index) => ({ key: `k${index}`, value: 'x' })),
    )
    await rig.allDone('classifier')
    await first.stop()
    const recover = await loseOffset(rig, rig.topic('agent.steps'), 0)
    expect((await rig.apply(2)).lost).toEqual([`${rig.namespace}.classifier/${rig.topic('agent.steps')}/0`])

    const { stage } = rig.startStage('classifier', { handle: echo })
    const lane = () => stage.status().lanes.find((at) => at.topic === rig.topic('agent.steps') && at.partition === 0)
    await waitUntil(() => lane()?.state === 'blocked', 'the lane to refuse')
    expect(lane()).toMatchObject({
      code: 'SHUNT_OFFSETS_LOST',
      message: expect.stringContaining('shunt lanes recover'),
    })
    await rig.publish(
      'agent.steps',
      Array.from({ length: 50 }, (_, index) => ({ key: `l${index}`, value: 'x' })),
    )
    await waitUntil(
      () => stage.status().lanes.every((at) => at === lane() || at.state !== 'opening'),
      'the other lanes to open',
    )
    await reader.caughtUp()
    expect(reader.records(rig.topic('agent.results')).filter((record) => record.key.startsWith('k'))).toHaveLength(50)
    await recover()
    await waitUntil(() => stage.status().ready, 'the lane to open by itself')
    await rig.allDone('classifier')
    await reader.caughtUp()
    expect(reader.count(rig.topic('agent.results'))).toBe(100)
  })

  test('partitions that were added are read once topics are applied, from their beginning', async () => {
    rig = createStreamRig(stack)
    await rig.apply(2)
    const { stage } = rig.startStage('classifier', { handle: echo })
    await waitUntil(() => stage.status().ready && stage.status().lanes.length === 8, 'lanes of 2 partitions a topic')
    expect((await rig.apply(3)).started).toHaveLength(4 + 2 + 2 + 1)
    const reader = await rig.read('agent.results')
    await rig.publish(
      'agent.steps',
      Array.from({ length: 60 }, (_, index) => ({ key: `k${index}`, value: 'x' })),
    )
    await waitUntil(() => stage.status().ready && stage.status().lanes.length === 12, 'lanes of 3 partitions a topic')
    await rig.allDone('classifier')
    await reader.caughtUp()
    expect(new Set(reader.records(rig.topic('agent.results')).map((record) => record.key)).size).toBe(60)
    expect(reader.records(rig.topic('agent.results'))).toHaveLength(60)
  })

  test('of two that apply topics at once, the later leaves alone what the earlier started and services committed', async () => {
    rig = createStreamRig(stack)
    const lane = { group: `${rig.namespace}.classifier`, topic: rig.topic('agent.steps'), partition: 0 }
    const lanes = stageGroupNames.flatMap((group) => stageGroups[group]).length
    // The later one is held up when it has seen that no lane has an offset, and is about to write the first.
    const later = applyOn(
      beforeFirstLane(rig.kafka, async () => {
        expect((await rig.apply(1)).started).toHaveLength(lanes)
        await commit(lane, 7)
      }),
    )
    expect(await later).toMatchObject({ started: [], lost: [] })
    const admin = rig.kafka('admin').admin()
    await admin.connect()
    const [found] = await admin.fetchOffsets({ groupId: lane.group, topics: [lane.topic] })
    await admin.disconnect()
    expect(found?.partitions).toMatchObject([
      { partition: 0, offset: '7', metadata: encodeProgress(initialProgress(7)) },
    ])
  })
})

function applyOn(kafka: KafkaFactory) {
  const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
  return applyTopics(
    { kafka, log: quiet, nowMs: Date.now, encodeOrder: (order) => Buffer.from(JSON.stringify(order)) },
    { namespace: rig.namespace, partitions: 1, actor: 'later' },
  )
}

async function commit(lane: { group: string; topic: string; partition: number }, offset: number): Promise<void> {
  const transactionalId = transactionalIdOf(lane.group, lane.topic, lane.partition)
  const producer = rig.kafka('service').producer(producerConfig(transactionalId))
  await producer.connect()
  await commitTransaction(producer, [], { ...lane, offset, metadata: encodeProgress(initialProgress(offset)) })
  await producer.disconnect()
}

/** Runs `act` when a producer connects for the first time. */
function beforeFirstLane(kafka: KafkaFactory, act: () => Promise<void>): KafkaFactory {
  let acted: Promise<void> | null = null
  return (clientId) => {
    const real = kafka(clientId)
    const producer: typeof real.producer = (config) => {
      const made = real.producer(config)
      return { ...made, connect: () => (acted ??= act()).then(made.connect) }
    }
    return {
      producer,
      consumer: real.consumer.bind(real),
      admin: real.admin.bind(real),
      logger: real.logger.bind(real),
    }
  }
}

/**
 * Takes a lane's offset away, as offsets.retention.minutes does: the group goes, and the other lanes get theirs back.
 * Returns what puts the lane's own back.
 */
async function loseOffset(from: StreamRig, topic: string, partition: number): Promise<() => Promise<void>> {
  const group = `${from.namespace}.classifier`
  const admin = from.kafka('admin').admin()
  await admin.connect()
  const topics = stageGroups.classifier.map((name) => from.topic(name))
  const lanes = (await admin.fetchOffsets({ groupId: group, topics })).flatMap((found) =>
    found.partitions.map((lane) => ({ ...lane, topic: found.topic })),
  )
  await admin.deleteGroups([group])
  await admin.disconnect()
  const restore = async (lane: (typeof lanes)[number]) => {
    const transactionalId = transactionalIdOf(group, lane.topic, lane.partition)
    const producer = from.kafka('restore').producer(producerConfig(transactionalId))
    await producer.connect()
    const at = { group, topic: lane.topic, partition: lane.partition }
    await commitTransaction(producer, [], { ...at, offset: Number(lane.offset), metadata: lane.metadata ?? '' })
    await producer.disconnect()
  }
  const isLost = (lane: (typeof lanes)[number]) => lane.topic === topic && lane.partition === partition
  for (const lane of lanes) if (!isLost(lane)) await restore(lane)
  return () => restore(lanes.find(isLost)!)
}
