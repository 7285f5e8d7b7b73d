import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { sha256 } from '#lib/audit/records'
import { completeStep } from '#lib/client/step-input'
import { avroType, avroTypeOf } from '#lib/events/avro-type'
import type { ChatRequest } from '#lib/events/chat-request'
import type { DecisionRecord } from '#lib/events/types.generated'
import { parsePolicy } from '#lib/policy/load'
import { readScorerFile, readTrainedScorer } from '#lib/policy/scorer-file'
import { openPlain, remakeFacts, type RemakeFactsDeps } from '#lib/replay/remake-facts'
import { decide, engineVersion } from '#lib/routing/decide'
import { readStep } from '#lib/routing/facts'
import type { InboundRecord } from '#lib/stream/types'
import { localCodec } from '../../support/local-codec.ts'
import { makeSnapshot } from '../routing/make-facts.ts'

const codec = await localCodec()
const shipped = readScorerFile()
const trained = readTrainedScorer(shipped.bytes, shipped.hash)
const text = readFileSync(new URL('../../../samples/policy.yaml', import.meta.url), 'utf8')
const { policy, hash } = parsePolicy(text, 'samples/policy.yaml', shipped.hash)

const request: ChatRequest = {
  messages: [{ role: 'user', content: 'Is this claim urgent? A pipe burst.' }],
  max_tokens: 8,
}
const step = completeStep({ stepId: 's', taskId: 't', tenantId: 'acme-claims', kind: 'classification', request })
const value = codec.encode('step', step)
const found: InboundRecord = {
  topic: 'agent.steps',
  partition: 1,
  offset: 9,
  key: null,
  value,
  headers: {},
  timestampMs: 77,
}

const library: RemakeFactsDeps['library'] = {
  policy: (wanted) => (wanted === hash ? policy : undefined),
  scorer: (wanted) => (wanted === shipped.hash ? trained : undefined),
}
const deps: RemakeFactsDeps = { codec, library, open: openPlain }
const writer = { type: avroType('decision-record'), isOurs: true }

function recordOf(change: Partial<DecisionRecord> = {}): DecisionRecord {
  const { facts } = readStep(step, request, [], found.timestampMs, trained.scorer)
  const snapshot = makeSnapshot()
  return {
    stepId: step.stepId,
    taskId: step.taskId,
    origin: { topic: found.topic, partition: 1, offset: 9, receivedAtMs: 77 },
    contentHash: sha256(value),
    attempt: 1,
    engineVersion,
    policyHash: Buffer.from(hash, 'hex'),
    scorerHash: Buffer.from(shipped.hash, 'hex'),
    facts,
    snapshot,
    outcome: decide(facts, snapshot, policy),
    reservedAtMs: 0,
    taskCapMicroUsd: null,
    reservationRounds: 0,
    budgetWaitMs: 0,
    troubledTools: [],
    ...change,
  }
}

const remake = (record: DecisionRecord, at: Parameters<typeof remakeFacts>[2] = found, using = deps) =>
  remakeFacts(using, { record, writer, body: codec.encode('decision-record', record) }, at)
const withFacts = (change: Partial<DecisionRecord['facts']>, more: Partial<DecisionRecord> = {}) => {
  const record = recordOf(more)
  return { ...record, facts: { ...record.facts, ...change } }
}

test('facts come out again from the text, by the scorer that decided', async () => {
  expect(await remake(recordOf())).toEqual({ state: 'same', fields: [], detail: null })
  const { facts } = readStep(step, request, [], found.timestampMs)
  expect(await remake(recordOf({ facts, scorerHash: null }))).toMatchObject({ state: 'same' })
})

test('a changed fact is named', async () => {
  const record = withFacts({ promptTokens: 1, tenantId: 'globex' }, { troubledTools: ['search'] })
  const { state, fields } = await remake(record)
  expect(state).toBe('different')
  expect(fields).toEqual([
    { path: 'facts.tenantId', recorded: 'globex', remade: 'acme-claims' },
    { path: 'facts.promptTokens', recorded: 1, remade: expect.any(Number) },
    { path: 'troubledTools[0]', recorded: 'search', remade: undefined },
  ])
})

test('what an older writer did not know is not asked of it', async () => {
  const v1 = JSON.parse(
    readFileSync(new URL('../../../schemas/fixtures/decision-record/v1.avsc', import.meta.url), 'utf8'),
  ) as Parameters<typeof avroTypeOf>[0]
  const old = { type: avroTypeOf(v1), isOurs: false }
  const record = recordOf()
  const body = Buffer.concat([Buffer.alloc(5), old.type.toBuffer(record)])
  const asRead = { ...record, facts: { ...record.facts, scoredBy: 'hand_weighted' }, troubledTools: [] }
  expect(await remakeFacts(deps, { record: asRead, writer: old, body }, found)).toMatchObject({ state: 'same' })
})

test("earlier attempts and an HTTP scorer's answer are inputs", async () => {
  const priorAttempts = [{ tier: 'oss' as const, model: 'm', verdict: 'truncated', transient: false, costMicroUsd: 3 }]
  const again = withFacts({ priorAttempts }, { attempt: 2, contentHash: Buffer.alloc(32) })
  expect(await remake(again)).toMatchObject({ state: 'same' })
  const asked = withFacts({ scoredBy: 'http', pSuccessPpm: 123, gainPpm: 45 }, { scorerHash: null })
  expect(await remake(asked)).toMatchObject({ state: 'same' })
})

test('the tokens of a hint, whose text is not here, are taken from the record; without hints they are not', async () => {
  const more = { attempt: 2 }
  expect(await remake(withFacts({ promptTokens: 9_999 }, more))).toMatchObject({ state: 'different' })
  const hinting = { ...policy, reroute: { hint: true } }
  const using = { ...deps, library: { ...library, policy: () => hinting } }
  expect(await remake(withFacts({ promptTokens: 9_999 }, more), found, using)).toMatchObject({ state: 'same' })
  expect(await remake(withFacts({ promptTokens: 9_999 }), found, using)).toMatchObject({ state: 'different' })
})

test('what cannot be verified is told apart', async () => {
  const record = recordOf()
  expect(await remake(record, 'expired')).toMatchObject({ state: 'expired' })
  expect(await remake(record, undefined, { ...deps, open: () => null })).toMatchObject({ state: 'erased' })
  expect(await remake({ ...record, scorerHash: Buffer.alloc(32) })).toMatchObject({ state: 'scorerMissing' })
  expect(await remake({ ...record, policyHash: Buffer.alloc(32) })).toMatchObject({ state: 'scorerMissing' })
  const other = { ...found, value: codec.encode('step', { ...step, stepId: 'x' }) }
  expect(await remake(record, other)).toMatchObject({ state: 'foreign', detail: 'other content' })
  const again = { ...record, attempt: 2 }
  expect(await remake(again, other)).toMatchObject({ state: 'foreign', detail: 'another step' })
  expect(await remake(again, { ...found, value: Buffer.from('x') })).toMatchObject({ state: 'foreign' })
})

test('no record at the place is another matter than one that is gone by retention', async () => {
  const record = recordOf()
  const missing = await remakeFacts(deps, { record, writer, body: codec.encode('decision-record', record) }, undefined)
  expect(missing).toEqual({ state: 'foreign', fields: [], detail: 'no record at agent.steps/1/9' })
})
