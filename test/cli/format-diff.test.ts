import { expect, test } from 'vitest'
import { formatDiff } from '../../cli/format-diff.ts'
import { makePolicy } from '../lib/routing/make-facts.ts'
import { entriesOf, loadedAs, recordStep } from '../lib/replay/diff/recorded.ts'
import { runDiff } from '../lib/replay/diff/run-diff.ts'

const lax = loadedAs(makePolicy())
const strict = loadedAs(makePolicy({ threshold: { pSuccessPpm: 900_000 } }))

test('what must be known comes first, steps that leave a region before moves, and nothing moves the cursor', async () => {
  const records = [0, 1].map((i) =>
    recordStep(lax, { stepId: `s\u001b[2J\n${i}`, facts: { requestedModel: 'm\r', allowedRegions: null }, call: null }),
  )
  const lines = formatDiff(await runDiff({ audit: await entriesOf(records) }, strict, []), 'agent.audit')
  const at = (text: string): number => lines.findIndex((line) => line.includes(text))
  expect(lines[0]).toMatch(/^2 decisions of agent\.audit made again by policy [0-9a-f]{12}, engine \d+$/)
  expect(at('moved: 2 to another tier or to none, 0 to another model of their tier')).toBe(1)
  expect(at('! 2 decisions by a policy that the log does not have any more')).toBeGreaterThan(0)
  expect(at('without a call in the range')).toBeLessThan(at('moves'))
  expect(at('oss     frontier          2')).toBeGreaterThan(at('moves'))
  // oxlint-disable-next-line no-control-regex
  expect(lines.join('')).not.toMatch(/[\u0000-\u001f]/)
})

test('a range without decisions prints its few lines', async () => {
  const lines = formatDiff(await runDiff({}, strict, []), 'agent.audit')
  expect(lines).toHaveLength(5)
})
