import { expect, test } from 'vitest'
import type { AuditRecord, RoutedStep } from '#lib/events/types.generated'
import { attemptDraft, operatorDraft, outcomeDraft, policyActivatedDraft } from '#lib/audit/records'
import { buildStepResult } from '#lib/events/step-result'
import { isDone, noEvidence, noteLink } from '#lib/stream/lane-evidence'
import type { AuditDraft } from '#lib/stream/types'
import { codec, makeStep } from '../../services/classifier/rig.ts'

const lane = { topic: 'agent.steps.oss', partition: 0 }

const routedAt = (offset: number, attempt = 1): RoutedStep => ({
  step: makeStep({ stepId: 'row-1' }),
  origin: { topic: 'agent.steps', partition: 0, offset, receivedAtMs: 0 },
  decision: {
    attempt,
    tier: 'oss',
    model: 'm',
    reasons: [],
    pSuccessPpm: 0,
    thresholdPpm: 0,
    gainPpm: null,
    thresholdOn: 'p_success',
    policyHash: '',
    scorerHash: null,
    engineVersion: 1,
    maxOutputTokens: 1,
    boundMicroUsd: 0,
    decidedAtMs: 0,
    reservedAtMs: 0,
  },
  attempts: [],
})

const attemptOf = (routed: RoutedStep): AuditDraft =>
  attemptDraft(
    codec,
    routed,
    {
      attempt: routed.decision.attempt,
      callNo: 1,
      tier: 'oss',
      model: 'm',
      backend: 'b',
      region: 'r',
      verdict: 'truncated',
      detail: null,
      startedAtMs: 0,
      endedAtMs: 0,
      promptTokens: 0,
      completionTokens: 0,
      costMicroUsd: 0,
      outcomeUnknown: false,
      standIn: false,
      confidencePpm: null,
      answer: null,
      answerTruncated: false,
    },
    { answer: null, tools: [], ends: true },
  )

const outcomeOf = ({ step, origin }: RoutedStep): AuditDraft =>
  outcomeDraft(
    codec,
    buildStepResult(step, origin, [], {
      status: 'expired',
      code: null,
      message: null,
      answer: null,
      answeredBy: null,
      reasons: [],
      policyHash: null,
      finishedAtMs: 0,
    }),
  )

async function evidenceOf(drafts: AuditDraft[]) {
  const evidence = noEvidence()
  for (const [index, draft] of drafts.entries()) {
    const link: AuditRecord = { chainId: 'c', epoch: 1, seq: index + 1, prevHash: Buffer.alloc(32), ...draft }
    await noteLink(evidence, lane, link, codec)
  }
  return evidence
}

test('a routed step is done once its attempt is in the audit, and its next attempt is not', async () => {
  const evidence = await evidenceOf([attemptOf(routedAt(7))])
  expect(isDone(evidence, 0, routedAt(7))).toBe(true)
  expect(isDone(evidence, 0, routedAt(7, 2))).toBe(false)
})

test('I1: a step is not done through an earlier one of the same id', async () => {
  const evidence = await evidenceOf([attemptOf(routedAt(7)), outcomeOf(routedAt(8))])
  expect(isDone(evidence, 0, routedAt(8))).toBe(true)
  expect(isDone(evidence, 0, routedAt(9))).toBe(false)
})

test('an order that is in the audit is done, whether it put a policy in force or not', async () => {
  const order = { name: 'policy', orderId: 'o', actor: 'a', reason: 'r', atMs: 0, value: '{}' }
  const evidence = await evidenceOf([
    operatorDraft(codec, { order, offset: 3 }),
    policyActivatedDraft(codec, { order, offset: 5, policyHash: Buffer.alloc(32) }),
  ])
  expect([2, 3, 4, 5, 6].filter((offset) => isDone(evidence, offset, null))).toEqual([3, 5])
})
