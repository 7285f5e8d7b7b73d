import { readFileSync } from 'node:fs'
import { avroTypeOf } from '#lib/events/avro-type'

type AvroType = ReturnType<typeof avroTypeOf>

/** Version of the DecisionRecord that the first decisions of an engine were written in. */
const schemaVersions = new Map([
  [1, 1],
  [2, 2],
  [3, 3],
])

/** The schema of an outcome as the first records of an engine had it. */
export function outcomeTypeOf(engine: number): AvroType {
  const file = `../../schemas/fixtures/decision-record/v${schemaVersions.get(engine)}.avsc`
  const record = avroTypeOf(JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8')))
  return (record as unknown as { field(name: string): { type: AvroType } }).field('outcome').type
}
