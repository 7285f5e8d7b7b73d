import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { avroTypeOf } from '#lib/events/avro-type'
import type { LedgerSnapshot, StepFacts } from '#lib/events/types.generated'
import { parsePolicyContent } from '#lib/policy/load'
import { engines } from '#lib/routing/decide'
import { noLedger } from '#lib/routing/no-ledger'

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

/** Version of the DecisionRecord that the first decisions of an engine were written in. */
const schemaVersions = new Map([
  [1, 1],
  [2, 2],
  [3, 3],
])

type AvroType = ReturnType<typeof avroTypeOf>
function outcomeTypeOf(engine: number): AvroType {
  const file = `../../../schemas/fixtures/decision-record/v${schemaVersions.get(engine)}.avsc`
  const record = avroTypeOf(JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8')))
  return (record as unknown as { field(name: string): { type: AvroType } }).field('outcome').type
}

const files = readdirSync(dir).filter((name) => name.endsWith('.jsonl'))

test('there are golden decisions of every version of the engine', () => {
  expect(files).toEqual([...engines.keys()].map((version) => `engine-${version}.jsonl`))
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
