import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeProgress, encodeProgress, initialProgress, type Committed } from '#lib/stream/progress-codec'

const offset = fc.integer({ min: 0, max: 2 ** 45 })
const anyProgress: fc.Arbitrary<Committed> = fc
  .record({
    low: offset,
    gaps: fc.array(fc.integer({ min: 1, max: 100_000 }), { maxLength: 400 }),
    rest: fc.integer({ min: 1, max: 1_000_000 }),
    head: fc.option(fc.stringMatching(/^[0-9]{1,6}\.[0-9]{1,9}\.[A-Za-z0-9_-]{43}$/)),
  })
  .map(({ low, gaps, rest, head }) => {
    let at = low
    const incomplete = gaps.map((gap) => (at += gap))
    return { low, incomplete, upTo: incomplete.length === 0 && rest % 2 === 0 ? low : at + rest, head }
  })

describe('progress codec', () => {
  test('decode(encode(p)) is p for any progress', () => {
    fc.assert(
      fc.property(anyProgress, (progress) => {
        expect(decodeProgress(progress.low, encodeProgress(progress))).toEqual(progress)
      }),
    )
  })

  test('any text either decodes or is SHUNT_METADATA_UNKNOWN', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.base64String().map((text) => `1 ${text} `),
        ),
        (text) => {
          try {
            decodeProgress(5, text)
          } catch (error) {
            expect(error).toMatchObject({ code: 'SHUNT_METADATA_UNKNOWN' })
          }
        },
      ),
    )
  })

  test.each([null, '', '2 AA== ', '1', '1 AA==', 'consumer-7'])('refuses %j, which another program wrote', (text) => {
    expect(() => decodeProgress(0, text)).toThrow(expect.objectContaining({ code: 'SHUNT_METADATA_UNKNOWN' }))
  })

  test('refuses to write more than the broker takes', () => {
    const incomplete = Array.from({ length: 2_000 }, (_, index) => (index + 1) * 200)
    expect(() => encodeProgress({ low: 0, upTo: 400_001, incomplete, head: null })).toThrow(
      expect.objectContaining({ code: 'SHUNT_PROGRESS_TOO_LARGE' }),
    )
  })

  test('the first version ever written is still read', () => {
    expect(decodeProgress(100, '1 CgMC 3.17.abc')).toEqual({
      low: 100,
      upTo: 110,
      incomplete: [103, 105],
      head: '3.17.abc',
    })
    expect(encodeProgress(initialProgress(0))).toBe('1 AA== ')
  })
})
