import fc from 'fast-check'
import { Partitioners, type Message } from 'kafkajs'
import { expect, test } from 'vitest'
import { murmur2, stickyPartitioner } from '#lib/stream/partitioner'

const ofKafkajs = Partitioners.DefaultPartitioner()
const partitions = (count: number) =>
  Array.from({ length: count }, (_, partitionId) => ({
    partitionId,
    leader: 0,
    replicas: [],
    isr: [],
    partitionErrorCode: 0,
  }))
const ask = (choose: ReturnType<typeof stickyPartitioner>, message: Message, count: number) =>
  choose({ topic: 't', partitionMetadata: partitions(count), message })

test('every key lands where kafkajs and Java put it, as text and as bytes', () => {
  const anyKey = fc.oneof(fc.string({ unit: 'binary', maxLength: 60 }), fc.uint8Array({ maxLength: 60 }))
  fc.assert(
    fc.property(anyKey, fc.integer({ min: 1, max: 1_000 }), (given, count) => {
      const key = typeof given === 'string' ? given : Buffer.from(given)
      const message = { key, value: null }
      expect(ask(stickyPartitioner(), { ...message }, count)).toBe(ask(ofKafkajs, message, count))
    }),
    { numRuns: 2_000 },
  )
})

// Java's own test: UtilsTest.testMurmur2.
test.each([
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
])('%s has the hash that Java gives it', (key, expected) => {
  expect(murmur2(Buffer.from(key))).toBe(expected)
})

test('the first answer for a message stands when partitions are added, or it is asked by another producer', () => {
  const message = { key: 'task-1', value: null }
  const first = ask(stickyPartitioner(), message, 3)
  for (const count of [3, 4, 17, 100]) expect(ask(stickyPartitioner(), message, count)).toBe(first)
})

test('a message without a key goes to any partition, and stays there', () => {
  const message: Message = { value: null }
  const first = ask(stickyPartitioner(), message, 5)
  expect([0, 1, 2, 3, 4]).toContain(first)
  expect(ask(stickyPartitioner(), message, 5)).toBe(first)
})
