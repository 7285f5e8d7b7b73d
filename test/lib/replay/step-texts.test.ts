import fc from 'fast-check'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { openStepTexts, spansOf } from '#lib/replay/step-texts'

const at = (partition: number, offset: number) => ({ topic: 'agent.steps', partition, offset })

test('places near each other are one span, and a long stretch that nobody asked for is passed over', () => {
  expect(spansOf([at(0, 900), at(0, 10), at(1, 5), at(0, 400), at(0, 10), at(0, 5_000)])).toEqual([
    { topic: 'agent.steps', partition: 0, from: 10, until: 901 },
    { topic: 'agent.steps', partition: 0, from: 5_000, until: 5_001 },
    { topic: 'agent.steps', partition: 1, from: 5, until: 6 },
  ])
  expect(spansOf([])).toEqual([])
})

test('spans cover every place, ascend, and read few records in vain', () => {
  const places = fc.array(
    fc.record({ partition: fc.nat(3), offset: fc.nat(20_000) }).map((p) => at(p.partition, p.offset)),
  )
  fc.assert(
    fc.property(places, (all) => {
      const spans = spansOf(all)
      for (const { partition, offset } of all)
        expect(
          spans.filter((span) => span.partition === partition && offset >= span.from && offset < span.until),
        ).toHaveLength(1)
      for (const inside of Map.groupBy(spans, ({ partition }) => partition).values())
        for (const [i, { from }] of inside.entries()) if (i > 0) expect(from).toBeGreaterThan(inside[i - 1]!.until)
      const read = spans.reduce((sum, { from, until }) => sum + until - from, 0)
      expect(read).toBeLessThanOrEqual(501 * all.length)
    }),
  )
})

test('nothing is opened before a text is asked for', async () => {
  let opened = 0
  const kafka = (): never => {
    opened += 1
    throw new Error('opened')
  }
  const texts = openStepTexts({ kafka, log: pino({ level: 'silent' }) }, { namespace: '' })
  await texts[Symbol.asyncDispose]()
  expect(opened).toBe(0)
})
