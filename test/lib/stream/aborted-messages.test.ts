import { createRequire } from 'node:module'
import fc from 'fast-check'
import { expect, test } from 'vitest'

// kafkajs is patched (scripts/patches): a reader of committed records must not be given aborted ones.

interface Message {
  offset: string
  key: Buffer
  isControlRecord: boolean
  batchContext: { producerId: string; inTransaction: boolean }
}
interface Aborted {
  producerId: string
  firstOffset: string
}
const filterAborted = createRequire(import.meta.url)('kafkajs/src/consumer/filterAbortedMessages.js') as (fetched: {
  messages: Message[]
  abortedTransactions: Aborted[]
}) => Message[]

const abortKey = Buffer.from([0, 0, 0, 0])
const commitKey = Buffer.from([0, 0, 0, 1])

const data = (offset: number, producerId: string, key: Buffer = Buffer.from('key')): Message => ({
  offset: String(offset),
  key,
  isControlRecord: false,
  batchContext: { producerId, inTransaction: true },
})
const marker = (offset: number, producerId: string, key: Buffer): Message => ({
  ...data(offset, producerId, key),
  isControlRecord: true,
})
const offsetsOf = (messages: Message[]) => messages.filter((m) => !m.isControlRecord).map((m) => Number(m.offset))

test('drops aborted records whatever the order of the list: brokers give it by the end of the transactions', () => {
  const messages = [data(0, 'a'), data(1, 'b'), marker(2, 'b', abortKey), marker(3, 'a', abortKey), data(4, 'a')]
  const abortedTransactions = [
    { producerId: 'b', firstOffset: '1' },
    { producerId: 'a', firstOffset: '0' },
  ]
  expect(offsetsOf(filterAborted({ messages, abortedTransactions }))).toEqual([4])
})

test('drops the first record of a fetch that begins inside several aborted transactions', () => {
  const messages = [data(8, 'b'), data(9, 'a'), marker(10, 'a', abortKey), marker(11, 'b', abortKey)]
  const abortedTransactions = [
    { producerId: 'a', firstOffset: '3' },
    { producerId: 'b', firstOffset: '5' },
  ]
  expect(offsetsOf(filterAborted({ messages, abortedTransactions }))).toEqual([])
})

test('takes no record for the end of a transaction because of its key', () => {
  const messages = [data(0, 'a', abortKey), data(1, 'a'), marker(2, 'a', abortKey)]
  const abortedTransactions = [{ producerId: 'a', firstOffset: '0' }]
  expect(offsetsOf(filterAborted({ messages, abortedTransactions }))).toEqual([])
})

test('gives exactly the committed records, for any interleaving and any start of the fetch', () => {
  // Per step a producer writes a record, commits, or aborts.
  const steps = fc.array(
    fc.record({ producer: fc.constantFrom('a', 'b', 'c'), action: fc.constantFrom('send', 'send', 'commit', 'abort') }),
    { minLength: 10, maxLength: 60, size: 'max' },
  )
  fc.assert(
    fc.property(steps, fc.nat(60), (script, start) => {
      const log: Message[] = []
      const committed = new Set<number>()
      const open = new Map<string, number[]>()
      const aborted: (Aborted & { lastOffset: number })[] = []
      const end = (producer: string, commits: boolean) => {
        const offsets = open.get(producer)
        if (!offsets) return
        open.delete(producer)
        const firstOffset = String(offsets[0])
        if (commits) for (const offset of offsets) committed.add(offset)
        else aborted.push({ producerId: producer, firstOffset, lastOffset: log.length })
        log.push(marker(log.length, producer, commits ? commitKey : abortKey))
      }
      for (const { producer, action } of script)
        if (action === 'send') {
          open.set(producer, [...(open.get(producer) ?? []), log.length])
          log.push(data(log.length, producer))
        } else end(producer, action === 'commit')
      for (const producer of open.keys()) end(producer, true)

      // As the broker answers: what overlaps the fetch, by the order of the markers.
      const given = filterAborted({
        messages: log.filter(({ offset }) => Number(offset) >= start),
        abortedTransactions: aborted.filter(({ lastOffset }) => lastOffset >= start),
      })
      expect(offsetsOf(given)).toEqual([...committed].filter((offset) => offset >= start).toSorted((a, b) => a - b))
    }),
  )
})
