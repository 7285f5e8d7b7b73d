import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, onTestFinished, test, vi } from 'vitest'
import { createStepJoin, stepKey } from '#lib/audit/step-join'

const keyOf = (step: number) => stepKey('tenant', `step-${step}`, { topic: 'agent.steps', partition: 0, offset: step })

/** Groups as text, in any order. */
function joined(rows: readonly (readonly [step: number, row: string])[], bucketBytes?: number): string[] {
  using steps = createStepJoin(bucketBytes === undefined ? {} : { bucketBytes })
  for (const [step, row] of rows) steps.append(keyOf(step), Buffer.from(row))
  return Array.from(steps.groups(), (group) => group.join('|')).toSorted()
}

function grouped(rows: readonly (readonly [step: number, row: string])[]): string[] {
  return [...Map.groupBy(rows, ([step]) => step).values()]
    .map((group) => group.map(([, row]) => row).join('|'))
    .toSorted()
}

const anyRow = fc.tuple(
  fc.nat(40),
  fc.string({ maxLength: 30 }).map((text) => text.replaceAll('|', '')),
)

test('rows come back by key, in the order in which they came', () => {
  fc.assert(
    fc.property(fc.array(anyRow, { maxLength: 200 }), (rows) => {
      expect(joined(rows)).toEqual(grouped(rows))
    }),
    { numRuns: 30 },
  )
})

test('what is spilled, and spilled again, comes back the same', () => {
  const rows = Array.from({ length: 60_000 }, (_, i) => [i % 20_000, `${i}-`.padEnd(200, 'x')] as const)
  expect(joined(rows, 20_000)).toEqual(grouped(rows))
})

test('one group that is larger than a bucket may be comes back whole', () => {
  const rows = Array.from({ length: 3_000 }, (_, i) => [7, `${i}`.padEnd(100)] as const)
  expect(joined(rows, 1_000)).toEqual(grouped(rows))
})

test('rows of 64 KiB less one byte are taken', () => {
  const rows = Array.from({ length: 4 }, (_, i) => [i % 2, String(i).repeat(65_535)] as const)
  expect(joined(rows)).toEqual(grouped(rows))
})

test('its files are readable by the owner alone, and gone with it', () => {
  const place = mkdtempSync(join(tmpdir(), 'shunt-join-test-'))
  onTestFinished(() => rmSync(place, { recursive: true }))
  vi.stubEnv('TMPDIR', place)
  const steps = createStepJoin()
  vi.unstubAllEnvs()
  for (let i = 0; i < 1_000; i += 1) steps.append(keyOf(1), Buffer.alloc(100))
  const [dir] = readdirSync(place).map((name) => join(place, name))
  expect(statSync(dir!).mode & 0o777).toBe(0o700)
  const files = readdirSync(dir!)
  expect(files.length).toBeGreaterThan(0)
  for (const file of files) expect(statSync(join(dir!, file)).mode & 0o777).toBe(0o600)
  steps[Symbol.dispose]()
  expect(existsSync(dir!)).toBe(false)
})

test('another origin, tenant or step is another key', () => {
  const origin = { topic: 'agent.steps', partition: 0, offset: 1 }
  const keys = [
    stepKey('a', 'b', origin),
    stepKey('a', 'c', origin),
    stepKey('c', 'b', origin),
    stepKey('a', 'b', { ...origin, offset: 2 }),
    stepKey('a', 'b', null),
  ].map((key) => key.toString('hex'))
  expect(new Set(keys).size).toBe(keys.length)
})
