import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { DecisionRecord } from '#lib/events/types.generated'
import { createTextScorer } from '#lib/replay/diff/score-texts'
import { noFacts } from '#lib/replay/fact-counts'
import { openPlain } from '#lib/replay/remake-facts'
import { textWindows } from '#lib/replay/text-windows'
import { createFactCheck } from '#lib/replay/verify-facts'
import type { PlacedDecision } from '#lib/replay/verify-decisions'
import { handWeighted } from '#lib/routing/score'
import { makePolicy } from '../routing/make-facts.ts'
import { loadedAs, recordStep } from './diff/recorded.ts'
import { localCodec } from '../../support/local-codec.ts'

const megabyte = 1_000_000
const policy = loadedAs(makePolicy())
const codec = await localCodec()

function recordsOf(sizes: readonly number[]): DecisionRecord[] {
  return sizes.map(
    (requestBytes, i) => recordStep(policy, { stepId: `s-${i}`, offset: i, facts: { requestBytes } }).decision,
  )
}

test('all come, in their order, and no more of their texts together than may be held, but for one that is larger', () =>
  fc.assert(
    fc.property(fc.array(fc.nat(12 * megabyte)), (sizes) => {
      const records = recordsOf(sizes)
      const windows = textWindows(records, (record) => record)
      expect(windows.flat()).toEqual(records)
      for (const window of windows)
        if (window.length > 1)
          expect(window.reduce((sum, { facts }) => sum + facts.requestBytes, 0)).toBeLessThan(3.2 * megabyte)
    }),
  ))

test('facts and scores of long texts are read a few at a time', async () => {
  const reads: number[] = []
  const texts = {
    read: (places: readonly unknown[]) => {
      reads.push(places.length)
      return Promise.resolve(new Map())
    },
  }
  const records = recordsOf(Array.from({ length: 100 }, () => megabyte))
  const deps = { codec, texts, open: openPlain }
  const counts = noFacts()
  const library = { policy: () => policy.policy, scorer: () => undefined }
  const check = createFactCheck({ ...deps, library }, { counts, onFinding: () => {} })
  await check(records.map((record) => ({ record, place: {} }) as PlacedDecision))
  expect(counts.foreign).toBe(100)
  await createTextScorer({ ...deps, scorer: handWeighted, policy: policy.policy })(records)
  expect(reads.reduce((sum, count) => sum + count)).toBe(200)
  expect(Math.max(...reads)).toBeLessThanOrEqual(3)
})
