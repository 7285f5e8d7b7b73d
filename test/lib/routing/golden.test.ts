import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { DecisionOutcome, LedgerSnapshot, StepFacts } from '#lib/events/types.generated'
import { parsePolicyContent } from '#lib/policy/load'
import { engines } from '#lib/routing/decide'
import { noLedger } from '#lib/routing/no-ledger'
import { reasons, type Reason } from '#lib/routing/reasons'
import { outcomeTypeOf } from '../../support/golden-outcome.ts'

/**
 * Decisions that were made, with all that they were made from. What stands here never changes: another outcome for one
 * of them is another engine, and needs another version beside the old one.
 */
const dir = new URL('../../golden/decisions/', import.meta.url)
const policyOf = (hash: string) =>
  parsePolicyContent(readFileSync(new URL(`policies/${hash}.json`, dir), 'utf8'), hash).policy

interface Golden {
  name: string
  policyHash: string
  facts: StepFacts
  snapshot: LedgerSnapshot
  /** JSON text. */
  outcome: string
  /** Avro as it stands in a DecisionRecord, base64. */
  outcomeAvro: string
}

const files = readdirSync(dir).filter((name) => name.endsWith('.jsonl'))

test('there are golden decisions of every version of the engine', () => {
  expect(files).toEqual([...engines.keys()].map((version) => `engine-${version}.jsonl`))
})

/** Reasons that came with a later version. */
const notYet = new Map<number, readonly Reason[]>([
  [1, ['low_gain', 'high_gain', 'failure_memory', 'budget_low']],
  [2, ['failure_memory', 'budget_low']],
])

test.each([...engines.keys()])('golden decisions of engine version %i have every reason that it gives', (version) => {
  const found = readFileSync(new URL(`engine-${version}.jsonl`, dir), 'utf8')
    .trim()
    .split('\n')
    .flatMap((line) => (JSON.parse((JSON.parse(line) as Golden).outcome) as DecisionOutcome).reasons)
  const known = Object.keys(reasons).filter((reason) => !notYet.get(version)?.includes(reason as Reason))
  expect(new Set(found)).toEqual(new Set(known))
})

describe.each([...engines])('I4: golden decisions of engine version %i come out byte for byte', (version, decide) => {
  const type = outcomeTypeOf(version)
  const lines = readFileSync(new URL(`engine-${version}.jsonl`, dir), 'utf8')
    .trim()
    .split('\n')
  test.each(lines.map((line) => JSON.parse(line) as Golden))(
    '$name',
    ({ policyHash, facts, snapshot, outcome, outcomeAvro }) => {
      // What a record did not have yet is read as its default.
      const asRead = { ...noLedger(0), ...snapshot }
      const written = type.toBuffer(decide(facts, asRead, policyOf(policyHash)))
      expect(JSON.stringify(type.fromBuffer(written))).toBe(outcome)
      expect(written.toString('base64')).toBe(outcomeAvro)
    },
  )
})
