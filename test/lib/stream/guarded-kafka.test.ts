import type { Kafka } from 'kafkajs'
import { expect, test } from 'vitest'
import { guardKafka } from '#lib/stream/guarded-kafka'
import { throwAwayGroup } from '#lib/stream/kafka'

/** Records what reaches the client. */
function harness() {
  const reached: string[] = []
  const client = (methods: string[]) =>
    Object.fromEntries(methods.map((name) => [name, () => Promise.resolve(void reached.push(name))]))
  const producer = {
    ...client(['connect', 'disconnect', 'send', 'sendBatch']),
    transaction: () => Promise.resolve(client(['send', 'sendBatch', 'sendOffsets', 'commit', 'abort'])),
  }
  const admin = client([
    'connect',
    'listTopics',
    'fetchOffsets',
    'createTopics',
    'deleteTopics',
    'deleteGroups',
    'setOffsets',
    'deleteTopicRecords',
  ])
  const kafka = { admin: () => admin, producer: () => producer, consumer: () => client(['connect']) }
  return { guarded: guardKafka(() => kafka as unknown as Kafka, 'replay-a.')('test'), reached }
}

const live = { topic: 'agent.steps', messages: [] }
const own = { topic: 'replay-a.agent.steps', messages: [] }

test('nothing is written under a name outside the prefix', async () => {
  const { guarded, reached } = harness()
  const [producer, admin] = [guarded.producer(), guarded.admin()]
  const transaction = await producer.transaction()
  expect(() => producer.send(live)).toThrow('agent.steps, which is outside replay-a.*')
  expect(() => producer.send({ ...live, topic: 'replay-ab.agent.steps' })).toThrow('outside')
  expect(() => producer.sendBatch({ topicMessages: [own, live] })).toThrow('outside')
  expect(() => transaction.send(live)).toThrow('outside')
  expect(() => transaction.sendOffsets({ consumerGroupId: 'classifier', topics: [] })).toThrow('outside')
  expect(() => admin.createTopics({ topics: [live] })).toThrow('outside')
  expect(() => admin.deleteTopics({ topics: ['agent.steps'] })).toThrow('outside')
  expect(() => admin.deleteGroups(['classifier'])).toThrow('outside')
  expect(() => guarded.consumer({ groupId: 'classifier' })).toThrow('outside')
  expect(() => guarded.producer({ transactionalId: 'classifier.agent.steps.0' })).toThrow('outside')
  expect(reached).toEqual([])
})

test('what is not known to be harmless is refused whatever its names', () => {
  const admin = harness().guarded.admin()
  expect(() =>
    admin.setOffsets({ groupId: 'replay-a.classifier', topic: 'replay-a.agent.steps', partitions: [] }),
  ).toThrow('not known to be harmless')
  expect(() => admin.deleteTopicRecords({ topic: 'replay-a.agent.steps', partitions: [] })).toThrow('harmless')
})

test('names of the prefix, groups that are thrown away, and all reading pass', async () => {
  const { guarded, reached } = harness()
  const [producer, admin] = [guarded.producer({ transactionalId: 'replay-a.classifier.x.0' }), guarded.admin()]
  await producer.connect()
  await producer.send(own)
  await admin.listTopics()
  await admin.fetchOffsets({ groupId: 'classifier', topics: ['agent.steps'] })
  await admin.deleteGroups(['replay-a.classifier', throwAwayGroup('shunt-read')])
  await guarded.consumer({ groupId: throwAwayGroup('shunt-read') }).connect()
  const transaction = await producer.transaction()
  await transaction.send(own)
  await transaction.commit()
  expect(reached).toEqual([
    'connect',
    'send',
    'listTopics',
    'fetchOffsets',
    'deleteGroups',
    'connect',
    'send',
    'commit',
  ])
})
