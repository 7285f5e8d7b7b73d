import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createEnds } from '#lib/replay/publish/ends'

test('each record counts once, however often and in whatever order it is told of', () => {
  const place = fc.record({
    topic: fc.constantFrom('a', 'b'),
    partition: fc.nat({ max: 2 }),
    offset: fc.oneof(fc.nat({ max: 20 }), fc.nat({ max: 100_000 })),
  })
  fc.assert(
    fc.property(fc.array(place), (places) => {
      const ends = createEnds()
      const known = new Set<string>()
      for (const each of places) {
        const name = JSON.stringify(each)
        expect(ends.add(each)).toBe(!known.has(name))
        known.add(name)
      }
      expect(ends.count()).toBe(known.size)
    }),
  )
})
