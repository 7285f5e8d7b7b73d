import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { avroType } from '#lib/events/avro-type'
import type { LedgerSnapshot, StepFacts } from '#lib/events/types.generated'
import { parsePolicyContent } from '#lib/policy/load'
import { decide, engineVersion } from '#lib/routing/decide'

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

type AvroType = ReturnType<typeof avroType>
const outcomeType = (avroType('decision-record') as unknown as { field(name: string): { type: AvroType } }).field(
  'outcome',
).type

const files = readdirSync(dir).filter((name) => name.endsWith('.jsonl'))

test('there are golden decisions of every version of the engine', () => {
  expect(files).toEqual(Array.from({ length: engineVersion }, (_, i) => `engine-${i + 1}.jsonl`))
})

describe('I4: golden decisions of engine version 1 come out byte for byte', () => {
  const lines = readFileSync(new URL('engine-1.jsonl', dir), 'utf8').trim().split('\n')
  test.each(lines.map((line) => JSON.parse(line) as Golden))(
    '$name',
    ({ policyHash, facts, snapshot, outcome, outcomeAvro }) => {
      const decided = decide(facts, snapshot, policyOf(policyHash))
      expect(JSON.stringify(decided)).toBe(outcome)
      expect(outcomeType.toBuffer(decided).toString('base64')).toBe(outcomeAvro)
    },
  )
})
