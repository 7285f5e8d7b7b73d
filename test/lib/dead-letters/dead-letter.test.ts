import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ShuntError } from '#lib/errors'
import { createLetterAssembly, type DeadLetter } from '#lib/dead-letters/dead-letter'
import { deadLetters } from '#lib/stream/dead-letter'
import type { InboundRecord } from '#lib/stream/types'

const mib = 1024 * 1024
const error = new ShuntError('SHUNT_EVENT_INVALID', 'no taskId')

function record(over: Partial<InboundRecord> = {}): InboundRecord {
  return {
    topic: 'agent.steps',
    partition: 3,
    offset: 1041,
    key: Buffer.from('task'),
    value: Buffer.from('{'),
    headers: {},
    timestampMs: 17,
    ...over,
  }
}

/** The letters as they lie in one partition of agent.deadletter, from this offset on. */
function written(of: InboundRecord, offset = 0): InboundRecord[] {
  return deadLetters(of, error, { topic: 'agent.deadletter', nowMs: 99 }).map(({ key, value, headers }, i) => ({
    topic: 'agent.deadletter',
    partition: 0,
    offset: offset + i,
    key: Buffer.from(key),
    value,
    headers: headers ?? {},
    timestampMs: 100,
  }))
}

function read(records: readonly InboundRecord[]): DeadLetter[] {
  const assembly = createLetterAssembly()
  return records.flatMap((each) => assembly.add(each) ?? [])
}

describe('a dead letter that is read', () => {
  test('has where the record lay, why it died, and its own headers without those that were added', () => {
    expect(read(written(record({ headers: { 'content-type': 'application/json' } }), 7))).toEqual([
      {
        place: { topic: 'agent.deadletter', partition: 0, offset: 7 },
        parts: 1,
        origin: { topic: 'agent.steps', partition: 3, offset: 1041, timestampMs: 17 },
        code: 'SHUNT_EVENT_INVALID',
        message: 'no taskId',
        atMs: 99,
        key: Buffer.from('task'),
        value: Buffer.from('{'),
        headers: { 'content-type': 'application/json' },
        droppedHeaders: [],
      },
    ])
  })

  test('has key, value and headers of the record, whatever they were', () => {
    const bytes = fc.option(fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array)))
    const headers = fc.dictionary(fc.stringMatching(/^h[a-z-]{0,10}$/), fc.string().map(Buffer.from))
    fc.assert(
      fc.property(bytes, bytes, headers, (key, value, headers) => {
        const [letter] = read(written(record({ key, value, headers })))
        expect(letter).toMatchObject({ key, value })
        expect({ ...letter!.headers }).toEqual({ ...headers })
      }),
    )
  })

  test('is put together from its parts, between which others lie', () => {
    const value = Buffer.alloc(8 * mib, 'all work and no play ')
    const [large, other] = [record({ value }), record({ value, offset: 1042 })]
    const [a1, a2, a3] = written(large)
    const [b1, b2, b3] = written(other, 3)
    const letters = read([a1!, b1!, a2!, ...written(record({ offset: 1 })), b2!, b3!, a3!])
    expect(letters.map(({ origin, parts }) => [origin.offset, parts])).toEqual([
      [1, 1],
      [1042, 3],
      [1041, 3],
    ])
    for (const letter of letters.slice(1)) expect(letter.value!.equals(value)).toBe(true)
    expect(letters[2]!.place.offset).toBe(0)
  })

  test('is none where its beginning was not read, or where the record is something else', () => {
    const [, second, third] = written(record({ value: Buffer.alloc(8 * mib) }))
    expect(read([second!, third!, record()])).toEqual([])
  })

  test('names the headers that were too large to keep', () => {
    const [letter] = read(written(record({ headers: { huge: Buffer.alloc(70_000), small: 'x' } })))
    expect(letter).toMatchObject({ droppedHeaders: ['huge', 'small'], headers: {} })
  })
})
