import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { PolicyRecord } from '#lib/events/types.generated'
import { createScorerAssembly, partKey, scorerBytes, splitScorer } from '#lib/policy/scorer-parts'

/** Of so many bytes, each scorer with others. */
const scorerOf = (length: number, seed = 0) =>
  scorerBytes(Buffer.from(Array.from({ length }, (_, i) => (i * 31 + seed) % 251)))

/** The same scorer in parts of a few bytes, as if it were large. */
function smallParts(seed: number, parts: number): PolicyRecord[] {
  const { hash, bytes } = scorerOf(parts * 3, seed)
  return Array.from({ length: parts }, (_, part) => ({
    hash,
    type: 'scorer',
    part,
    parts,
    content: bytes.subarray(part * 3, part * 3 + 3),
  }))
}

describe('splitting', () => {
  test('a part fits into a record of 1 MiB, and the parts are the scorer', () => {
    const scorer = scorerOf(2_000_001)
    const records = splitScorer(scorer)
    expect(records.map(({ part, parts }) => [part, parts])).toEqual([
      [0, 3],
      [1, 3],
      [2, 3],
    ])
    for (const { content } of records) expect(content.length).toBeLessThanOrEqual(900_000)
    expect(Buffer.concat(records.map(({ content }) => content)).equals(scorer.bytes)).toBe(true)
    expect(new Set(records.map(partKey)).size).toBe(3)
  })

  test('a small one is one part, and one that no classifier could hold is refused', () => {
    expect(splitScorer(scorerOf(10))).toHaveLength(1)
    expect(splitScorer(scorerOf(0))).toHaveLength(1)
    expect(splitScorer(scorerBytes(Buffer.alloc(64 * 900_000)))).toHaveLength(64)
    expect(() => splitScorer(scorerBytes(Buffer.alloc(64 * 900_000 + 1)))).toThrow(
      expect.objectContaining({
        code: 'SHUNT_SCORER_INVALID',
        message: expect.stringMatching(/57600001 bytes.*57600000: calibrate it anew/),
      }),
    )
  })
})

describe('assembling', () => {
  test('parts in any order, repeated, of several scorers at once, give each scorer whole', () => {
    const scorers = [smallParts(1, 4), smallParts(2, 1), smallParts(3, 6)]
    const all = scorers.flat()
    const order = fc.tuple(
      fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length }),
      fc.array(fc.constantFrom(...all), { maxLength: 10 }),
      fc.array(fc.constantFrom(...all), { maxLength: 10 }),
    )
    fc.assert(
      fc.property(order, ([once, before, after]) => {
        const assembly = createScorerAssembly()
        for (const record of [...before, ...once, ...after]) expect(assembly.add(record)).not.toBe('damaged')
        for (const parts of scorers)
          expect(assembly.bytesOf(parts[0]!.hash)).toEqual(Buffer.concat(parts.map(({ content }) => content)))
      }),
    )
  })

  test('a scorer that lacks a part is not there', () => {
    const assembly = createScorerAssembly()
    const [first, , last] = smallParts(1, 3)
    expect([assembly.add(first!), assembly.add(last!)]).toEqual(['incomplete', 'incomplete'])
    expect(assembly.bytesOf(first!.hash)).toBeUndefined()
  })

  test('a damaged part is found when the scorer is complete, and mended by publishing it again', () => {
    const assembly = createScorerAssembly()
    const [first, second] = smallParts(1, 2)
    expect(assembly.add({ ...first!, content: Buffer.from('xyz') })).toBe('incomplete')
    expect(assembly.add(second!)).toBe('damaged')
    expect(assembly.bytesOf(first!.hash)).toBeUndefined()
    expect(assembly.add(first!)).toBe('whole')
    // What is whole stays so.
    expect(assembly.add({ ...first!, content: Buffer.from('xyz') })).toBe('whole')
    expect(assembly.bytesOf(first!.hash)).toHaveLength(6)
  })

  test('the same scorer cut otherwise is assembled from either cut, never from a mixture', () => {
    const { hash, bytes } = scorerOf(6)
    const cut = (length: number): PolicyRecord[] =>
      Array.from({ length: 6 / length }, (_, part) => ({
        hash,
        type: 'scorer',
        part,
        parts: 6 / length,
        content: bytes.subarray(part * length, (part + 1) * length),
      }))
    const assembly = createScorerAssembly()
    const [threes, twos] = [cut(3), cut(2)]
    expect([threes[0]!, twos[1]!, twos[2]!, twos[0]!].map(assembly.add)).toEqual([
      'incomplete',
      'incomplete',
      'incomplete',
      'whole',
    ])
  })

  test('a record that counts its parts wrongly is passed over', () => {
    const [record] = smallParts(1, 1)
    for (const wrong of [{ parts: 0 }, { parts: 1_000_000 }, { part: 1 }, { part: -1 }])
      expect(createScorerAssembly().add({ ...record!, ...wrong })).toBe('malformed')
  })
})
