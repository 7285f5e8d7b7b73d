import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { readPolicyLibrary } from '#lib/audit/policy-library'
import type { PolicyRecord } from '#lib/events/types.generated'
import { parsePolicy } from '#lib/policy/load'
import { readScorerFile } from '#lib/policy/scorer-file'
import { scorerBytes, splitScorer } from '#lib/policy/scorer-parts'
import { memorySource } from '../../support/memory-source.ts'

const text = readFileSync(new URL('../../../samples/policy.yaml', import.meta.url), 'utf8')
const shipped = readScorerFile()
const loaded = parsePolicy(text, 'samples/policy.yaml', shipped.hash)

const policyRecord = (hash: string, content: string): PolicyRecord => ({
  hash,
  type: 'policy',
  part: 0,
  parts: 1,
  content: Buffer.from(content),
})
const libraryOf = async (...policies: PolicyRecord[]) => readPolicyLibrary(await memorySource({ policies }))

test('a policy and the parts of a scorer are found by the hash of their content', async () => {
  const library = await libraryOf(...splitScorer(shipped), policyRecord(loaded.hash, loaded.content))
  expect(library.policy(loaded.hash)?.index.tenants.size).toBe(loaded.policy.index.tenants.size)
  expect(library.policy(loaded.hash)).toBe(library.policy(loaded.hash))
  expect(library.scorer(shipped.hash)?.scorer.hash).toBe(shipped.hash)
  expect(library.policyHashes).toEqual([loaded.hash])
  expect(library.scorerHashes).toEqual([shipped.hash])
  expect(library.orphans.size).toBe(0)
  expect(library.policy('00')).toBeUndefined()
  expect(library.scorer('00')).toBeUndefined()
})

test('scorers that nobody will ask for are not kept', async () => {
  const other = scorerBytes(Buffer.from('another scorer'))
  const records = [...splitScorer(shipped), ...splitScorer(other), policyRecord(loaded.hash, loaded.content)]
  const library = await readPolicyLibrary(await memorySource({ policies: records }), (hash) => hash === shipped.hash)
  expect(library.scorerHashes).toEqual([shipped.hash])
  expect(library.scorer(shipped.hash)).toBeDefined()
  expect(library.scorer(other.hash)).toBeUndefined()
  expect(library.policy(loaded.hash)).toBeDefined()
})

test('a policy that was rewritten under its hash is not used, also where the true one came before it', async () => {
  const rewritten = loaded.content.replace('"version":1', '"version":1,"notes":"x"')
  const library = await libraryOf(policyRecord(loaded.hash, loaded.content), policyRecord(loaded.hash, rewritten))
  expect(library.policy(loaded.hash)).toBeUndefined()
  expect(library.orphans.get(loaded.hash)).toMatch(/^policy [0-9a-f]{64}: /)
})

test('a scorer that lacks a part is named, and one that was cut differently later is whole', async () => {
  const bytes = shipped.bytes
  const parts = [0, 1].map((part): PolicyRecord => ({
    hash: shipped.hash,
    type: 'scorer',
    part,
    parts: 2,
    content: bytes.subarray(part * 1_000, part === 0 ? 1_000 : undefined),
  }))
  const lacking = await libraryOf(parts[0]!)
  expect(lacking.orphans).toEqual(new Map([[shipped.hash, 'the scorer is incomplete']]))
  expect(lacking.scorer(shipped.hash)).toBeUndefined()
  const whole = await libraryOf(parts[0]!, ...splitScorer(shipped))
  expect(whole.orphans.size).toBe(0)
  expect(whole.scorer(shipped.hash)).toBeDefined()
})
