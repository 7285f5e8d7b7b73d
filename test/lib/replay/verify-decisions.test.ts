import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AuditEntry, AuditSource } from '#lib/audit/source'
import { avroTypeOf } from '#lib/events/avro-type'
import type { DecisionRecord } from '#lib/events/types.generated'
import type { CompiledPolicy } from '#lib/policy/compile-policy'
import { noDecisions, verifyDecisions, type Finding, type VerifyOptions } from '#lib/replay/verify-decisions'
import { engines, engineVersion } from '#lib/routing/decide'
import { localCodec, localRegistry } from '../../support/local-codec.ts'
import { memorySource } from '../../support/memory-source.ts'
import { anyFacts, anyPolicy, anySnapshot } from '../routing/arbitraries.ts'
import { makeFacts, makePolicy, makeSnapshot } from '../routing/make-facts.ts'

const codec = await localCodec()
const policyHash = 'ab'.repeat(32)
const usual = makePolicy()
const libraryOf = (policy: CompiledPolicy) => ({ policy: (hash: string) => (hash === policyHash ? policy : undefined) })

function recordOf(change: Partial<DecisionRecord> = {}, policy = usual): DecisionRecord {
  const { facts = makeFacts(), snapshot = makeSnapshot(), engineVersion: version = engineVersion } = change
  return {
    stepId: 's1',
    taskId: 't1',
    origin: { topic: 'agent.steps', partition: 0, offset: 7, receivedAtMs: 1 },
    contentHash: Buffer.alloc(32, 1),
    attempt: 1,
    engineVersion: version,
    policyHash: Buffer.from(policyHash, 'hex'),
    scorerHash: null,
    facts,
    snapshot,
    outcome: engines.get(version)!(facts, snapshot, policy),
    reservedAtMs: 0,
    taskCapMicroUsd: null,
    reservationRounds: 0,
    budgetWaitMs: 0,
    troubledTools: [],
    ...change,
  }
}

function entryOf(offset: number, body: Buffer, type: 'decision' | 'attempt' = 'decision', partition = 0): AuditEntry {
  const record = { chainId: 'c', epoch: 1, seq: offset + 1, prevHash: Buffer.alloc(32), type, body }
  return { topic: 'agent.audit', partition, offset, timestampMs: offset, record, problem: null }
}
const bodyOf = (record: DecisionRecord): Buffer => codec.encode('decision-record', record)

async function verify(
  audit: AuditEntry[],
  policy = usual,
  change: Partial<VerifyOptions> & { schemaById?: AuditSource['schemaById']; codec?: AuditSource['codec'] } = {},
) {
  const { schemaById, codec: other, ...options } = change
  const source = await memorySource({ audit })
  const findings: Finding[] = []
  const progress = { positions: new Map<number, number>(), counts: noDecisions() }
  await verifyDecisions(
    { ...source, ...(schemaById && { schemaById }), ...(other && { codec: other }) },
    libraryOf(policy),
    { range: {}, progress, onFinding: (finding) => findings.push(finding), ...options },
  )
  return { ...(options.progress ?? progress), findings }
}

describe('I4: a decision comes out byte for byte', () => {
  test('of any facts, snapshot and policy, by any engine', async () => {
    const cases = fc.tuple(
      anyPolicy,
      fc.array(fc.tuple(anyFacts, anySnapshot, fc.constantFrom(...engines.keys())), { maxLength: 20 }),
    )
    await fc.assert(
      fc.asyncProperty(cases, async ([policy, decisions]) => {
        const audit = decisions.map(([facts, snapshot, version], i) =>
          entryOf(i, bodyOf(recordOf({ facts, snapshot, engineVersion: version }, policy))),
        )
        const { counts, findings } = await verify(audit, policy)
        expect(findings).toEqual([])
        expect(counts).toEqual({ ...noDecisions(), decisions: decisions.length, same: decisions.length })
      }),
      { numRuns: 50 },
    )
  })

  test.each([1, 2, 3])('written in version %i of its schema, of which nothing is lost', async (version) => {
    const file = new URL(`../../../schemas/fixtures/decision-record/v${version}.avsc`, import.meta.url)
    const type = avroTypeOf(JSON.parse(readFileSync(file, 'utf8')))
    const id = 900
    const schemaById = (wanted: number) => (wanted === id ? Promise.resolve(type) : localRegistry().schemaById(wanted))
    const old = await localCodec({ registry: { ...localRegistry(), schemaById } })
    const framed = (record: DecisionRecord): Buffer => {
      const header = Buffer.alloc(5)
      header.writeUInt32BE(id, 1)
      return Buffer.concat([header, type.toBuffer(record)])
    }
    const good = recordOf({ engineVersion: Math.min(version, engineVersion) })
    const bad = { ...good, outcome: { ...good.outcome, reasons: ['rule'] } }
    const audit = [entryOf(0, framed(good)), entryOf(1, framed(bad))]
    const { counts, findings } = await verify(audit, usual, { schemaById, codec: old })
    expect(counts).toMatchObject({ decisions: 2, same: 1, different: 1 })
    expect(findings).toMatchObject([{ offset: 1, fields: [{ path: 'outcome.reasons[0]', recorded: 'rule' }] }])
  })
})

test('what a newer release wrote beside the outcome is no difference, and a newer engine is told as one', async () => {
  const file = new URL('../../../schemas/fixtures/decision-record/v3.avsc', import.meta.url)
  const schema = JSON.parse(readFileSync(file, 'utf8')) as { fields: { name: string; type: { fields: object[] } }[] }
  const outcome = schema.fields.find(({ name }) => name === 'outcome')!
  const later = { name: 'later', type: ['null', 'string'], default: null }
  outcome.type.fields.push(later)
  const type = avroTypeOf({ ...schema, fields: [...schema.fields, later] })
  const id = 901
  const schemaById = (wanted: number) => (wanted === id ? Promise.resolve(type) : localRegistry().schemaById(wanted))
  const newer = await localCodec({ registry: { ...localRegistry(), schemaById } })
  const framed = (record: object): Buffer => {
    const header = Buffer.alloc(5)
    header.writeUInt32BE(id, 1)
    return Buffer.concat([header, type.toBuffer(record)])
  }
  const good = recordOf()
  const audit = [
    { ...good, later: 'x' },
    { ...good, engineVersion: engineVersion + 1, outcome: { ...good.outcome, later: 'x' } },
  ]
  const entries = audit.map((record, i) => entryOf(i, framed(record)))
  const { counts } = await verify(entries, usual, { schemaById, codec: newer })
  expect(counts).toEqual({ ...noDecisions(), decisions: 2, same: 1, unknownEngine: 1 })
})

test('what was changed is found, and named with its place, step and fields', async () => {
  const good = recordOf()
  const bad = recordOf({
    stepId: 's2',
    attempt: 2,
    outcome: { ...good.outcome, tier: 'frontier', model: 'frontier-a', thresholdPpm: 5 },
  })
  const { counts, findings } = await verify([entryOf(0, bodyOf(good)), entryOf(1, bodyOf(bad), 'decision', 3)])
  expect(counts).toEqual({ ...noDecisions(), decisions: 2, same: 1, different: 1 })
  expect(findings).toEqual([
    {
      topic: 'agent.audit',
      partition: 3,
      offset: 1,
      timestampMs: 1,
      what: 'different',
      stepId: 's2',
      attempt: 2,
      detail: null,
      fields: [
        { path: 'outcome.tier', recorded: 'frontier', remade: 'oss' },
        { path: 'outcome.model', recorded: 'frontier-a', remade: good.outcome.model },
        { path: 'outcome.thresholdPpm', recorded: 5, remade: good.outcome.thresholdPpm },
      ],
    },
  ])
})

test('facts that were changed so that another outcome follows are found', async () => {
  const good = recordOf()
  const { counts } = await verify([entryOf(0, bodyOf({ ...good, facts: { ...good.facts, pSuccessPpm: 1 } }))])
  expect(counts.different).toBe(1)
})

test('what cannot be verified is told apart from what is wrong', async () => {
  const good = recordOf()
  const unread: AuditEntry = { ...entryOf(5, Buffer.alloc(0)), record: null, problem: 'no value' }
  const { counts, findings } = await verify([
    entryOf(0, bodyOf({ ...good, engineVersion: 99 })),
    entryOf(1, bodyOf({ ...good, policyHash: Buffer.alloc(32, 7) })),
    entryOf(2, Buffer.from('no decision')),
    entryOf(3, bodyOf(good).subarray(0, 60)),
    entryOf(4, Buffer.from('an attempt is not looked at'), 'attempt'),
    unread,
    entryOf(6, bodyOf(good)),
  ])
  expect(counts).toEqual({ decisions: 3, same: 1, different: 0, unknownEngine: 1, policyMissing: 1, undecodable: 3 })
  expect(findings.map(({ what, detail }) => [what, detail])).toEqual([
    ['unknown_engine', '99'],
    ['policy_missing', '07'.repeat(32)],
    ['undecodable', expect.stringMatching(/framing/)],
    ['undecodable', expect.stringMatching(/DecisionRecord of schema id/)],
    ['undecodable', 'no value'],
  ])
})

test('a filter leaves out decisions, and a decision in other bytes is told', async () => {
  const good = recordOf()
  const audit = [entryOf(0, bodyOf(good)), entryOf(1, bodyOf({ ...good, taskId: 't2' }))]
  const filter = ({ taskId }: DecisionRecord) => taskId === 't2'
  expect((await verify(audit, usual, { filter })).counts.decisions).toBe(1)
})

test('broken off anywhere, it goes on and counts each decision once', async () => {
  const records = Array.from({ length: 60 }, (_, i) => recordOf({ stepId: `s${i}` }))
  const wrong = { ...records[0]!, outcome: { ...records[0]!.outcome, boundMicroUsd: 1 } }
  const audit = records.map((record, i) => entryOf(i >> 1, bodyOf(i % 10 === 0 ? wrong : record), 'decision', i % 2))
  const whole = await verify(audit)
  expect(whole.counts).toEqual({ ...noDecisions(), decisions: 60, same: 54, different: 6 })
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 9 }), fc.boolean(), async (batches, inside) => {
      const progress = { positions: new Map<number, number>(), counts: noDecisions() }
      let left = batches
      const breakOff = () => {
        if (left-- === 0) throw new Error('broken off')
      }
      const options = inside ? { alsoCheck: () => Promise.resolve().then(breakOff) } : { onBatch: breakOff }
      const first = verify(audit, usual, { progress, ...options })
      await first.catch((error: Error) => expect(error.message).toBe('broken off'))
      await verify(audit, usual, { progress })
      expect(progress).toEqual({ positions: whole.positions, counts: whole.counts })
    }),
  )
})
