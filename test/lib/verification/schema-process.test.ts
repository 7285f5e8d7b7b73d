import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import * as fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { createSchemaProcess, schemaProcessDefaults, type SchemaProcessOptions } from '#lib/verification/schema-process'
import { identifyProcess, isAlive } from '../../../cli/stack/process-identity.ts'
import { waitUntil } from '../../support/wait-until.ts'

const catastrophic = { type: 'object', properties: { a: { type: 'string', pattern: '^(a+)+$' } } }
const neverEnds = JSON.stringify({ a: `${'a'.repeat(40)}!` })
const harmless = { type: 'object', required: ['id'], properties: { id: { type: 'string' } } }

function open(options: Partial<SchemaProcessOptions> = {}) {
  const warnings: unknown[] = []
  const clock = { nowMs: 0 }
  const checking = createSchemaProcess(
    { log: { warn: (fields: unknown) => void warnings.push(fields) }, nowMs: () => clock.nowMs },
    { ...schemaProcessDefaults, ...options },
  )
  onTestFinished(() => checking.close())
  return { ...checking, warnings, clock }
}

/** Longest time between two turns of this checking's loop while `work` went on, ms. */
async function longestStallOf(work: Promise<unknown>): Promise<number> {
  let longest = 0
  let last = performance.now()
  const ticker = setInterval(() => {
    longest = Math.max(longest, performance.now() - last)
    last = performance.now()
  }, 5)
  await work
  clearInterval(ticker)
  return longest
}

test('tells what fits and what does not, in whatever order it is asked', async () => {
  const checking = open()
  const answers = await Promise.all([
    checking.check(harmless, '{"id":"x"}'),
    checking.check(harmless, '{}'),
    checking.check({ type: 'dict' }, '{}'),
    checking.check(harmless, '{"id":"y"}'),
  ])
  expect(answers.map(({ kind }) => kind)).toEqual(['fits', 'differs', 'unusable', 'fits'])
})

test('a catastrophic pattern is given up; meanwhile the loop turns and other answers are checked', async () => {
  const checking = open()
  await checking.check(harmless, '{"id":"x"}')
  const hostile = checking.check(catastrophic, neverEnds)
  const others = Promise.all(Array.from({ length: 20 }, (_, i) => checking.check(harmless, `{"id":"${i}"}`)))
  let isGivenUp = false
  void hostile.then(() => (isGivenUp = true))
  const stall = await longestStallOf(others)
  expect((await others).every(({ kind }) => kind === 'fits')).toBe(true)
  // Those that stood behind it are served before its second try is over.
  expect(isGivenUp).toBe(false)
  expect(await hostile).toMatchObject({ kind: 'exhausted' })
  // A pattern that ran here would never end; a shared machine is let off with a part of what the checking was given.
  expect(stall).toBeLessThan(schemaProcessDefaults.limitMs)
})

test('a schema that took too much is not run again for a while, and then it is', async () => {
  const checking = open({ limitMs: 50 })
  expect(await checking.check(catastrophic, neverEnds)).toMatchObject({ kind: 'exhausted' })
  const replacements = checking.warnings.length
  expect(await checking.check(catastrophic, '{"a":"aa"}')).toMatchObject({ kind: 'exhausted' })
  expect(checking.warnings).toHaveLength(replacements)
  checking.clock.nowMs += schemaProcessDefaults.forgiveAfterMs
  expect(await checking.check(catastrophic, '{"a":"aa"}')).toEqual({ kind: 'fits' })
})

test('many answers under one hostile schema cost its time once', async () => {
  const checking = open({ limitMs: 50 })
  const answers = await Promise.all(Array.from({ length: 30 }, () => checking.check(catastrophic, neverEnds)))
  expect(answers.every(({ kind }) => kind === 'exhausted')).toBe(true)
  expect(checking.warnings).toHaveLength(2)
})

test('a schema that takes all memory ends its own check alone', async () => {
  const checking = open({ maxHeapMb: 24, limitMs: 20_000 })
  // Compiles to code that grows with the product of its levels.
  const level = (depth: number): object =>
    depth === 0 ? { type: 'string' } : { anyOf: Array.from({ length: 6 }, () => level(depth - 1)) }
  const huge = checking.check(level(5), '{}')
  expect(await checking.check(harmless, '{"id":"x"}')).toEqual({ kind: 'fits' })
  expect(['exhausted', 'unusable']).toContain((await huge).kind)
}, 60_000)

test('a huge or deeply nested schema or answer gets a verdict', async () => {
  const checking = open()
  let deep: object = { type: 'string' }
  for (let i = 0; i < 2_000; i++) deep = { properties: { a: deep } }
  const wide = {
    properties: Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`p${i}`, { type: 'string' }])),
  }
  const nested = '['.repeat(100_000) + ']'.repeat(100_000)
  expect((await checking.check(deep, '{}')).kind).toMatch(/unusable|exhausted|fits/)
  expect(await checking.check(wide, '{}')).toMatchObject({ kind: 'unusable' })
  expect(await checking.check({ type: 'array' }, nested)).toMatchObject({ kind: 'differs' })
  expect(await checking.check(harmless, '{"id":"x"}')).toEqual({ kind: 'fits' })
})

test('closing ends the checking and rejects what is under way', async () => {
  const checking = open({ limitMs: 60_000 })
  const hostile = checking.check(catastrophic, neverEnds)
  const rejection = hostile.catch((error: unknown) => error)
  await sleep(20)
  await checking.close()
  expect(await rejection).toMatchObject({ code: 'SHUNT_HANDLER_FAILED', retryable: true })
  await expect(checking.check(harmless, '{}')).rejects.toMatchObject({ retryable: true })
})

/** JSON Schema keywords with values of any kind: some make a schema, most do not. */
const keyword = fc.constantFrom(
  'type',
  'properties',
  'required',
  'items',
  'prefixItems',
  'enum',
  'const',
  'anyOf',
  'allOf',
  'not',
  'pattern',
  '$ref',
  '$id',
  '$defs',
  'format',
  'additionalProperties',
  'minimum',
  'multipleOf',
  'uniqueItems',
  'if',
  'then',
  'nullable',
  'patternProperties',
  'propertyNames',
  '$async',
  '$schema',
  '$dynamicRef',
  'discriminator',
  '__proto__',
)
const { schema: anySchema } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.jsonValue({ maxDepth: 1 }),
    fc.constantFrom(
      'object',
      'string',
      'array',
      '#',
      '#/$defs/a',
      '^(a|a)*$',
      'date',
      ['a'],
      'https://json-schema.org/draft/2020-12/schema',
    ),
    tie('schema'),
    fc.array(tie('schema'), { maxLength: 3 }),
  ),
  schema: fc.dictionary(keyword, tie('value'), { maxKeys: 4 }),
}))

test('any schema and any answer get a verdict', async () => {
  const checking = open()
  await fc.assert(
    fc.asyncProperty(anySchema, fc.jsonValue(), async (schema, value) => {
      const { kind } = await checking.check(schema, JSON.stringify(value))
      expect(['fits', 'differs', 'unusable', 'exhausted']).toContain(kind)
    }),
    { numRuns: 500 },
  )
}, 60_000)

test('the process goes with its parent, even one that was killed during a check', async () => {
  const parent = spawn(process.execPath, ['test/support/verifying-worker.ts'], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void parent.kill('SIGKILL'))
  const [printed] = (await once(parent.stdout, 'data')) as [Buffer]
  const child = identifyProcess(Number(printed))!
  expect(isAlive(child)).toBe(true)
  parent.kill('SIGKILL')
  await waitUntil(() => !isAlive(child), 'the verifying process to end')
}, 60_000)
