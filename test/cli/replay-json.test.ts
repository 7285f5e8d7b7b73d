import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { noFacts } from '#lib/replay/fact-counts'
import { findingOf, noDecisions } from '#lib/replay/verify-decisions'
import type { VerifySummary } from '../../cli/verify-summary.ts'
import { makePolicy } from '../lib/routing/make-facts.ts'
import { loadedAs } from '../lib/replay/diff/recorded.ts'
import { runDiff } from '../lib/replay/diff/run-diff.ts'

const manual = readFileSync(new URL('../../docs/replay.md', import.meta.url), 'utf8')

/** Names of an object's fields that a section of the manual does not tell. */
function untold(section: RegExp, ...objects: readonly object[]): string[] {
  const [text] = section.exec(manual)!
  const names = new Set(objects.flatMap((each) => Object.keys(each)))
  return [...names].filter((name) => !text.includes(`\`${name}\``))
}

test('the manual tells each field of what verify prints as JSON', () => {
  const place = { topic: 'agent.audit', partition: 0, offset: 1, timestampMs: 2 }
  const finding = findingOf(place, 'different', {})
  const summary: VerifySummary = {
    source: 'agent.audit',
    complete: true,
    ...noDecisions(),
    facts: noFacts(),
    perSecond: 1,
    findings: [finding],
  }
  expect(untold(/^## Whether recorded[^]*?^## /m, summary, noFacts(), finding)).toEqual([])
})

test('the manual tells each field of what diff prints as JSON', async () => {
  const report = await runDiff({}, loadedAs(makePolicy()), [])
  expect(untold(/^## What another policy[^]*?^## /m, report)).toEqual([])
})
