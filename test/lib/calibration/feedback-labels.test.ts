import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createFeedbackJoin } from '#lib/calibration/feedback-labels'
import type { Attempt, AttemptRecord, OutcomeRecord, StepFeedback } from '#lib/events/types.generated'

const ids = { tenantId: 'acme', stepId: 's', taskId: 't' }
const originAt = (offset: number) => ({ topic: 'agent.steps', partition: 0, offset, receivedAtMs: 0 })

function verdictOf(verdict: StepFeedback['verdict'], over: Partial<StepFeedback> = {}): StepFeedback {
  return { ...ids, verdict, code: null, actor: null, atMs: 1_000, ...over }
}

function attempt(
  tier: Attempt['tier'],
  verdict: string,
  over: Partial<Attempt> & { answered?: boolean; offset?: number } = {},
) {
  const { answered = true, offset = 7, ...rest } = over
  const record: Partial<Omit<AttemptRecord, 'attempt'>> & { attempt: Partial<Attempt> } = {
    ...ids,
    attempt: { attempt: 1, callNo: 1, tier, verdict, standIn: false, endedAtMs: 100, ...rest },
    answerHash: answered ? Buffer.alloc(32) : null,
    origin: originAt(offset),
  }
  return record as AttemptRecord
}

function outcome(status: OutcomeRecord['status'], offset = 7): OutcomeRecord {
  return { ...ids, origin: originAt(offset), status, code: null, attempts: 1, costMicroUsd: 0, finishedAtMs: 200 }
}

function joined(
  feedback: readonly StepFeedback[],
  audit: readonly (AttemptRecord | OutcomeRecord)[],
  verification = true,
) {
  const join = createFeedbackJoin({ verification })
  for (const each of feedback) join.feedback(each)
  for (const each of audit)
    if ('attempt' in each) join.attempt(each)
    else join.outcome(each)
  return join.steps()
}

const outcomeOf = (...given: Parameters<typeof joined>) => joined(...given).steps[0]?.outcome

describe('a verdict', () => {
  test('labels the tier that answered, and the record of the step', () => {
    expect(joined([verdictOf('right')], [attempt('oss', 'ok')])).toEqual({
      steps: [
        {
          id: 'acme/s',
          tenantId: 'acme',
          place: { topic: 'agent.steps', partition: 0, offset: 7 },
          outcome: { oss: true },
        },
      ],
      counts: { steps: 1, judged: 1, withoutAnswer: 0, standIn: 0, failedVerification: 0 },
    })
    expect(outcomeOf([verdictOf('wrong')], [attempt('frontier', 'ok')])).toEqual({ frontier: false })
  })

  test('of several on a step is the last one by its time, whichever came first', () => {
    const early = verdictOf('wrong', { atMs: 500 })
    for (const order of [
      [early, verdictOf('right')],
      [verdictOf('right'), early],
    ])
      expect(outcomeOf(order, [attempt('oss', 'ok')])).toEqual({ oss: true })
  })

  test('that is neither right nor wrong, or on a step of which the audit has no answer, labels nothing', () => {
    expect(joined([verdictOf('unknown')], [attempt('oss', 'ok')])).toMatchObject({ steps: [], counts: { steps: 0 } })
    const unanswered = [attempt('oss', 'backend_timeout', { answered: false })]
    expect(joined([verdictOf('right')], unanswered)).toMatchObject({ steps: [], counts: { withoutAnswer: 1 } })
    expect(joined([verdictOf('right')], [{ ...attempt('oss', 'ok'), tenantId: 'globex' }]).steps).toEqual([])
  })

  test('on an answer of the stand-in labels nothing: it is no model', () => {
    const standIn = attempt('frontier', 'ok', { attempt: 2, standIn: true })
    expect(joined([verdictOf('right')], [standIn])).toMatchObject({ steps: [], counts: { standIn: 1 } })
    expect(outcomeOf([verdictOf('right')], [attempt('oss', 'truncated'), standIn])).toEqual({ oss: false })
  })

  test('on the weak answer of a failed step is on the one that was handed back, and knows more than the check', () => {
    const attempts = [attempt('frontier', 'truncated'), attempt('oss', 'format_mismatch', { attempt: 2 })]
    expect(outcomeOf([verdictOf('right')], [...attempts, outcome('failed')])).toEqual({ frontier: true, oss: false })
  })

  test('on a step whose stepId was used again is on the answer before it', () => {
    const audit = [
      attempt('oss', 'ok', { endedAtMs: 100, offset: 7 }),
      attempt('frontier', 'ok', { endedAtMs: 5_000, offset: 90 }),
    ]
    expect(joined([verdictOf('wrong')], audit).steps).toMatchObject([{ place: { offset: 7 }, outcome: { oss: false } }])
    expect(joined([verdictOf('wrong', { atMs: 6_000 })], audit).steps).toMatchObject([{ place: { offset: 90 } }])
    // A caller whose clock is behind.
    expect(joined([verdictOf('wrong', { atMs: 50 })], audit).steps).toMatchObject([{ place: { offset: 7 } }])
  })
})

describe('an answer that failed verification', () => {
  const escalated = [attempt('oss', 'schema_mismatch'), attempt('frontier', 'ok', { attempt: 2 })]

  test('counts as wrong beside the verdict on the one that was accepted, unless it is left out', () => {
    expect(joined([verdictOf('right')], escalated)).toMatchObject({
      steps: [{ outcome: { oss: false, frontier: true } }],
      counts: { failedVerification: 1 },
    })
    expect(outcomeOf([verdictOf('right')], escalated, false)).toEqual({ frontier: true })
  })

  test('that was only doubted, could not be checked, or never came, says nothing', () => {
    for (const verdict of ['low_confidence_answer', 'verification_timeout', 'schema_unusable', 'backend_overloaded'])
      expect(outcomeOf([verdictOf('right')], [attempt('oss', verdict), escalated[1]!])).toEqual({ frontier: true })
  })

  test('that was accepted all the same since nothing could be held against it is the answer', () => {
    const audit = [
      attempt('frontier', 'truncated'),
      attempt('oss', 'schema_unusable', { attempt: 2 }),
      outcome('completed'),
    ]
    expect(outcomeOf([verdictOf('right')], audit)).toEqual({ frontier: false, oss: true })
  })
})

test('the order of the audit, whose lanes lie in several partitions, does not matter', () => {
  const audit = [
    attempt('oss', 'truncated'),
    attempt('oss', 'backend_timeout', { attempt: 2, answered: false }),
    attempt('frontier', 'ok', { attempt: 3 }),
    outcome('completed'),
    attempt('oss', 'ok', { offset: 90, endedAtMs: 9_000 }),
  ]
  const expected = joined([verdictOf('wrong')], audit)
  expect(expected.steps).toMatchObject([{ place: { offset: 7 }, outcome: { oss: false, frontier: false } }])
  fc.assert(
    fc.property(fc.shuffledSubarray(audit, { minLength: audit.length }), (shuffled) => {
      expect(joined([verdictOf('wrong')], shuffled)).toEqual(expected)
    }),
  )
})
