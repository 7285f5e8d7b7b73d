import { CompressionTypes } from 'kafkajs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { chunkRecords, commitTransaction, recordBytes } from '#lib/stream/transaction'
import type { OutboundRecord } from '#lib/stream/types'

const oneBuffer = Buffer.alloc(700_000)
// Keys number the records, so that they can be told apart without comparing values.
const anyRecords: fc.Arbitrary<OutboundRecord[]> = fc
  .array(
    fc.record({
      topic: fc.constantFrom('results', 'audit', 'deadletter'),
      size: fc.integer({ min: 0, max: oneBuffer.length }),
      compress: fc.boolean(),
    }),
    { maxLength: 40 },
  )
  .map((records) =>
    records.map(({ topic, size, compress }, index) => ({
      topic,
      compress,
      key: String(index),
      value: oneBuffer.subarray(0, size),
    })),
  )

describe('chunks of a transaction', () => {
  test('hold every record once, in its order within a topic, compressed ones apart, none above the bound but single ones', () => {
    fc.assert(
      fc.property(anyRecords, (records) => {
        const chunks = [...chunkRecords(records)]
        for (const compress of [true, false])
          for (const topic of ['results', 'audit', 'deadletter']) {
            const sent = chunks
              .filter((chunk) => (chunk.compression === CompressionTypes.GZIP) === compress)
              .flatMap((chunk) => chunk.topicMessages ?? [])
              .filter((messages) => messages.topic === topic)
              .flatMap(({ messages }) => messages.map(({ key }) => key))
            const given = records.filter((record) => record.topic === topic && record.compress === compress)
            expect(sent).toEqual(given.map(({ key }) => key))
          }
        for (const chunk of chunks) {
          const all = (chunk.topicMessages ?? []).flatMap(({ topic, messages }) =>
            messages.map(({ key, value }) => ({ topic, key, value }) as OutboundRecord),
          )
          const bytes = all.reduce((sum, record) => sum + recordBytes(record), 0)
          expect(all.length === 1 || bytes <= 500_000).toBe(true)
        }
      }),
      { numRuns: 50 },
    )
  })

  test('a transaction adds its offsets again when they collide with the end of the one before', async () => {
    const calls: string[] = []
    let refusals = 2
    const transaction = {
      sendBatch: () => Promise.resolve(calls.push('send')),
      sendOffsets: () => {
        calls.push('offsets')
        if (refusals-- > 0) throw Object.assign(new Error('concurrent'), { type: 'CONCURRENT_TRANSACTIONS' })
        return Promise.resolve()
      },
      commit: () => Promise.resolve(calls.push('commit')),
    }
    const producer = { transaction: () => Promise.resolve(transaction) }
    const commit = { group: 'g', topic: 't', partition: 0, offset: 5, metadata: 'm' }
    const record = { topic: 'out', key: 'k', value: Buffer.from('v') }
    await commitTransaction(producer as never, [record], commit)
    // Records last: from the first of them on, readers of committed records wait.
    expect(calls).toEqual(['offsets', 'offsets', 'offsets', 'send', 'commit'])
  })

  test('any other refusal ends it without a commit', async () => {
    let committed = false
    const transaction = {
      sendOffsets: () => Promise.reject(Object.assign(new Error('fenced'), { type: 'INVALID_PRODUCER_EPOCH' })),
      commit: () => Promise.resolve((committed = true)),
    }
    const producer = { transaction: () => Promise.resolve(transaction) }
    const commit = { group: 'g', topic: 't', partition: 0, offset: 5, metadata: 'm' }
    await expect(commitTransaction(producer as never, [], commit)).rejects.toThrow('fenced')
    expect(committed).toBe(false)
  })
})
