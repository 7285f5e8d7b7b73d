import { expect, test } from 'vitest'
import type { AttemptEntry, Fold } from '#lib/ledger/fold'
import { foldAuditRecord } from '#lib/ledger/fold-record'
import { localCodec } from '../../support/local-codec.ts'

const codec = await localCodec()

/** What the failure memory is told of a model's attempt that ended in `verdict`. */
async function succeeded(verdict: string): Promise<boolean | null | undefined> {
  let told: AttemptEntry | undefined
  const fold: Partial<Fold> = {
    attempt: (entry) => {
      told = entry
      return Promise.resolve({ state: 'folded', overMicroUsd: 0 })
    },
  }
  const body = codec.encode('attempt-record', {
    stepId: 's',
    taskId: 't',
    tenantId: 'acme',
    attempt: {
      attempt: 1,
      callNo: 1,
      tier: 'frontier',
      model: 'big',
      backend: 'p',
      region: 'eu',
      verdict,
      detail: null,
      startedAtMs: 1,
      endedAtMs: 2,
      promptTokens: 0,
      completionTokens: 0,
      costMicroUsd: 0,
      outcomeUnknown: false,
      standIn: false,
      confidencePpm: null,
      answer: null,
      answerTruncated: false,
    },
    answerHash: null,
    origin: { topic: 'agent.steps', partition: 0, offset: 0, receivedAtMs: 1 },
    ends: true,
    boundMicroUsd: 0,
    reservedAtMs: 0,
    kind: 'classification',
    tools: [],
  })
  const link = { chainId: 'c', epoch: 1, seq: 1, prevHash: Buffer.alloc(32), type: 'attempt' as const, body }
  await foldAuditRecord(fold as Fold, codec, link, { place: 'agent.audit/0', offset: 0 })
  return told?.succeeded
}

test.each([
  ['ok', true],
  ['truncated', false],
  ['backend_timeout', null],
  ['schema_unusable', null],
  ['no_recorded_answer', null],
  ['of_a_newer_release', false],
])('of an attempt that ended in %s the failure memory learns %s of the model', async (verdict, learnt) => {
  expect(await succeeded(verdict)).toBe(learnt)
})
