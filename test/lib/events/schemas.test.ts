import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { avroType, avroTypeOf } from '#lib/events/avro-type'
import { bundledSchema, readSchema, schemaNames, type AvroNode } from '#lib/events/schemas'
import { eventNames, subjectsIn } from '#lib/events/subjects'
import { topicNames, topics } from '#lib/events/topics'
import { evolutionProblems, formsOf, styleProblems } from './evolution.ts'

const schemasDir = new URL('../../../schemas/', import.meta.url)

test('every schema file is in schemaNames', () => {
  const files = readdirSync(schemasDir).flatMap((file) => (file.endsWith('.avsc') ? [file.slice(0, -5)] : []))
  expect(files.toSorted()).toEqual([...schemaNames].toSorted())
})

describe.each(schemaNames)('%s', (name) => {
  test('parses, and stands alone once bundled', () => {
    const { namespace, name: record } = readSchema(name)
    expect(avroType(name).name).toBe(`${namespace}.${record}`)
    expect(avroTypeOf(JSON.parse(JSON.stringify(bundledSchema(name)))).equals(avroType(name))).toBe(true)
  })

  test('has unions of null and one other type, and a default symbol in each enum', () => {
    expect(styleProblems(bundledSchema(name))).toEqual([])
  })
})

describe.each(eventNames)('versions of %s', (name) => {
  const dir = new URL(`fixtures/${name}/`, schemasDir)
  const versions = readdirSync(dir)
    .filter((file) => file.endsWith('.avsc'))
    .map((file) => JSON.parse(readFileSync(new URL(file, dir), 'utf8')) as AvroNode)

  test('change only as the evolution rules allow', () => {
    expect(versions.length).toBeGreaterThan(0)
    for (const older of versions) expect(evolutionProblems(older, bundledSchema(name))).toEqual([])
  })
})

test('the registry gets a subject for each topic, twins included, and one for each audit body', () => {
  const subjects = subjectsIn('staging')
  const ofTopics = topicNames.filter((topic) => topics[topic].schema !== null)
  expect(subjects.map(({ subject }) => subject)).toEqual([
    ...ofTopics.map((topic) => `staging.${topic}-value`),
    'dev.shunt.audit.DecisionRecord',
    'dev.shunt.audit.AttemptRecord',
    'dev.shunt.audit.OutcomeRecord',
    'dev.shunt.audit.DuplicateRecord',
    'dev.shunt.audit.LaneResetRecord',
    'dev.shunt.audit.OperatorRecord',
    'dev.shunt.audit.PolicyActivatedRecord',
  ])
  expect(subjects.find(({ subject }) => subject === 'staging.agent.steps.batch-value')?.name).toBe('step')
})

const record = (...fields: object[]): AvroNode => ({ type: 'record', name: 'R', namespace: 'n', fields })
const field = { name: 'a', type: 'string' }
const one = (symbols: string[]): AvroNode => ({ type: 'enum', name: 'E', namespace: 'n', symbols, default: 'x' })

describe('the evolution rules', () => {
  test.each([
    ['a field without a default', record(field), record(field, { name: 'b', type: 'int' }), 'n.R.b is new'],
    ['a removed field', record(field, { name: 'b', type: 'int', default: 0 }), record(field), 'n.R.b was removed'],
    ['a retyped field', record(field), record({ name: 'a', type: 'bytes' }), 'n.R.a was removed, renamed or retyped'],
    ['a removed symbol', one(['x', 'y']), one(['x']), 'n.E lost the symbol y'],
    ['another name', record(field), { ...(record(field) as object), name: 'S' }, 'n.R was removed'],
  ])('forbid %s', (_what, older, newer, problem) => {
    expect(evolutionProblems(older, newer)).toEqual([expect.stringContaining(problem)])
  })

  test('allow a field with a default and a new symbol', () => {
    const newer = record(field, { name: 'b', type: ['null', 'int'], default: null })
    expect(evolutionProblems(record(field), newer)).toEqual([])
    expect(evolutionProblems(one(['x']), one(['x', 'y']))).toEqual([])
  })

  test('forbid null behind, unions of many and enums without a default', () => {
    const bad = record({ name: 'a', type: ['string', 'null'] }, { name: 'b', type: ['null', 'int', 'string'] })
    expect(styleProblems(bad)).toHaveLength(2)
    expect(styleProblems({ type: 'enum', name: 'E', namespace: 'n', symbols: ['x'] })).toHaveLength(1)
  })

  test('see named types within others', () => {
    expect([...formsOf(bundledSchema('routed-step')).keys()]).toContain('dev.shunt.events.StepConstraints')
  })
})
