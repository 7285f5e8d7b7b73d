import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ShuntError } from '#lib/errors'
import { deadLetterHeaders, deadLetters } from '#lib/stream/dead-letter'
import { recordBytes } from '#lib/stream/transaction'
import type { InboundRecord } from '#lib/stream/types'

const mib = 1024 * 1024
const error = new ShuntError('SHUNT_EVENT_INVALID', 'no taskId')

function record(over: Partial<InboundRecord>): InboundRecord {
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

const lettersOf = (over: Partial<InboundRecord>) => deadLetters(record(over), error, { topic: 'dead', nowMs: 99 })

describe('dead letters', () => {
  test("carry the bytes, the key, the record's own headers, where it lay and why it is here", () => {
    expect(lettersOf({ headers: { 'content-type': 'application/json' } })).toEqual([
      {
        topic: 'dead',
        key: Buffer.from('task'),
        value: Buffer.from('{'),
        compress: true,
        headers: {
          'content-type': 'application/json',
          'x-shunt-topic': 'agent.steps',
          'x-shunt-partition': '3',
          'x-shunt-offset': '1041',
          'x-shunt-timestamp': '17',
          'x-shunt-code': 'SHUNT_EVENT_INVALID',
          'x-shunt-message': 'no taskId',
          'x-shunt-time': '99',
        },
      },
    ])
  })

  test('of any value, key and headers: the parts join to the value, share a key, and fit below 4 MiB', () => {
    const sizes = fc.record({
      value: fc.integer({ min: 0, max: 20 * mib }),
      key: fc.integer({ min: 0, max: 100_000 }),
      header: fc.integer({ min: 0, max: 3 * mib }),
    })
    fc.assert(
      fc.property(sizes, (size) => {
        const value = Buffer.alloc(size.value, 7)
        const letters = lettersOf({ value, key: Buffer.alloc(size.key), headers: { own: Buffer.alloc(size.header) } })
        expect(Buffer.concat(letters.map((letter) => letter.value!)).equals(value)).toBe(true)
        for (const letter of letters) expect(recordBytes(letter)).toBeLessThan(4 * mib)
        const parts = letters.map((letter) => letter.headers?.[deadLetterHeaders.part] ?? '1')
        expect(parts).toEqual(letters.map((_, index) => String(index + 1)))
      }),
      { numRuns: 30 },
    )
  })

  test('tell a record without a key and one without a value from empty ones', () => {
    const [letter] = lettersOf({ key: null, value: null })
    expect(String(letter?.key)).toBe('agent.steps/3/1041')
    expect(letter?.headers).toMatchObject({
      [deadLetterHeaders.keyless]: 'true',
      [deadLetterHeaders.tombstone]: 'true',
    })
    expect(lettersOf({ value: Buffer.alloc(0) })[0]?.headers).not.toHaveProperty(deadLetterHeaders.tombstone)
  })

  test('a publisher cannot pass its own headers off as ours', () => {
    const [letter] = lettersOf({ headers: { [deadLetterHeaders.offset]: '7' } })
    expect(letter?.headers?.[deadLetterHeaders.offset]).toBe('1041')
  })

  test('an unexpected error does not bring its text along', () => {
    const [letter] = deadLetters(record({}), new SyntaxError('"my prompt" is not JSON'), { topic: 'dead', nowMs: 0 })
    expect(letter?.headers?.[deadLetterHeaders.code]).toBe('SyntaxError')
    expect(letter?.headers?.[deadLetterHeaders.message]).not.toContain('prompt')
  })
})
