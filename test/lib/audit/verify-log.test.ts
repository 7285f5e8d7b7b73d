import { hash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createChain, linkHash } from '#lib/audit/chain'
import type { ChainMark } from '#lib/audit/chain-marks'
import { createFindings } from '#lib/audit/findings'
import type { AuditEntry, AuditSource, ResultEntry } from '#lib/audit/source'
import { verifyLog, type VerifyLogOptions } from '#lib/audit/verify-log'
import { requeueOrderName, requeueOrderValue } from '#lib/dead-letters/requeue-orders'
import type { DecisionRecord, PolicyRecord, StepOrigin, StepStatus } from '#lib/events/types.generated'
import { splitScorer, scorerBytes } from '#lib/policy/scorer-parts'
import { decide, engineVersion } from '#lib/routing/decide'
import type { AuditDraft } from '#lib/stream/types'
import { entryOf } from '../../support/chain-log.ts'
import { localCodec } from '../../support/local-codec.ts'
import { memorySource, type MemoryLog } from '../../support/memory-source.ts'
import { makeFacts, makePolicy, makeSnapshot } from '../routing/make-facts.ts'

const codec = await localCodec()
const tenantId = makeFacts().tenantId
const startMs = Date.UTC(2026, 0, 1)
const hourMs = 3_600_000
const outcome = decide(makeFacts(), makeSnapshot(), makePolicy())

const policyContent = Buffer.from('{"models":[]}')
const policyHash = hash('sha256', policyContent, 'buffer')
const policy: PolicyRecord = {
  hash: policyHash.toString('hex'),
  type: 'policy',
  part: 0,
  parts: 1,
  content: policyContent,
}
const scorer = scorerBytes(Buffer.alloc(2_000_000, 'weights'))

const originOf = (step: number): StepOrigin => ({
  topic: 'agent.steps',
  partition: 0,
  offset: step,
  receivedAtMs: startMs + step * hourMs,
})
const idsOf = (step: number) => ({ stepId: `step-${step}`, taskId: 'task', tenantId, origin: originOf(step) })

function decision(step: number, attempt = 1, change: Partial<DecisionRecord> = {}): AuditDraft {
  const { tenantId: _tenant, ...ids } = idsOf(step)
  const body = codec.encode('decision-record', {
    ...ids,
    contentHash: Buffer.alloc(32, 1),
    attempt,
    engineVersion,
    policyHash,
    scorerHash: null,
    facts: makeFacts(),
    snapshot: makeSnapshot(),
    outcome,
    reservedAtMs: 0,
    taskCapMicroUsd: null,
    reservationRounds: 0,
    budgetWaitMs: 0,
    troubledTools: [],
    ...change,
  })
  return { type: 'decision', body }
}

function attempt(step: number, number = 1, { callNo = 1, costMicroUsd = 5 } = {}): AuditDraft {
  const body = codec.encode('attempt-record', {
    ...idsOf(step),
    attempt: {
      attempt: number,
      callNo,
      tier: 'oss',
      model: 'm',
      backend: 'b',
      region: 'r',
      verdict: 'ok',
      detail: null,
      startedAtMs: 1,
      endedAtMs: 2,
      promptTokens: 1,
      completionTokens: 1,
      costMicroUsd,
      outcomeUnknown: false,
      standIn: false,
      confidencePpm: null,
      answer: null,
      answerTruncated: false,
    },
    answerHash: null,
    ends: true,
    boundMicroUsd: 0,
    reservedAtMs: 0,
    kind: 'extraction',
    tools: [],
  })
  return { type: 'attempt', body }
}

interface End {
  status?: StepStatus
  attempts?: number
  costMicroUsd?: number
}

function end(step: number, { status = 'completed', attempts = 1, costMicroUsd = 5 * attempts }: End = {}): AuditDraft {
  const body = codec.encode('outcome-record', {
    ...idsOf(step),
    status,
    code: null,
    attempts,
    costMicroUsd,
    finishedAtMs: 1,
  })
  return { type: 'outcome', body }
}

function duplicate(step: number): AuditDraft {
  const body = codec.encode('duplicate-record', {
    ...idsOf(step),
    first: 'agent.steps/0/0',
    contentHash: Buffer.alloc(32),
  })
  return { type: 'duplicate', body }
}

function requeue(step: number): AuditDraft {
  const { stepId, origin } = idsOf(step)
  const letter = { place: { topic: 'agent.deadletter', partition: 0, offset: step }, code: 'SHUNT_EVENT_UNDECODABLE' }
  const order = {
    name: requeueOrderName({ origin: { topic: 'agent.steps.oss', partition: 0, offset: step, timestampMs: 0 } }),
    orderId: 'o',
    actor: 'a',
    reason: 'r',
    atMs: 1,
    value: requeueOrderValue(letter, 'agent.steps.reroute', { tenantId, stepId, origin }),
  }
  return { type: 'operator', body: codec.encode('operator-record', { order, offset: 1 }) }
}

/** Each draft is of the step whose number is with it, and was written an hour after it came. */
function auditOf(...drafts: [step: number, draft: AuditDraft][]): AuditEntry[] {
  const chain = createChain({ topic: 'agent.audit', encode: (link) => codec.encode('audit-record', link) })
  const { records } = chain.seal(
    'group/topic/0',
    null,
    drafts.map(([, draft]) => draft),
  )
  return records.map(({ value }, offset) =>
    entryOf({ partition: 0, offset, timestampMs: startMs + (drafts[offset]![0] + 1) * hourMs, value: value! }),
  )
}

function result(
  step: number,
  { status = 'completed', attempts = 1, costMicroUsd = 5 * attempts }: End = {},
  offset = step,
): ResultEntry {
  return {
    topic: 'agent.results',
    partition: 0,
    offset,
    timestampMs: startMs + (step + 1) * hourMs,
    ...idsOf(step),
    status,
    code: null,
    attempts,
    costMicroUsd,
    finishedAtMs: 1,
  }
}

const whole = (step: number): [number, AuditDraft][] => [
  [step, decision(step)],
  [step, attempt(step)],
  [step, end(step)],
]

async function verify(log: MemoryLog, options: Partial<VerifyLogOptions> = {}) {
  const findings = createFindings(100)
  const source = await memorySource({ policies: [policy], ...log })
  const nowMs = () => startMs + 1_000 * hourMs
  const summary = await verifyLog(source, { nowMs, report: findings.report, laneWaitMs: 0, ...options })
  return { ...summary, findings: findings.kept, codes: findings.kept.map(({ code }) => code), first: findings.first() }
}

describe('steps', () => {
  test('are complete that have decisions, attempts, an end and a result, however these lie apart', async () => {
    const steps = Array.from({ length: 40 }, (_, i) => i)
    const drafts = [
      ...steps.map((step): [number, AuditDraft] => [step, decision(step)]),
      ...steps.map((step): [number, AuditDraft] => [step, attempt(step)]),
      ...steps.map((step): [number, AuditDraft] => [step, end(step)]),
    ]
    const found = await verify({
      audit: auditOf(...drafts),
      results: steps.toReversed().map((step, i) => result(step, {}, i)),
    })
    expect(found.findings).toEqual([])
    expect(found.steps).toEqual({ complete: 40, duplicate: 0, open: 0, 'not verifiable': 0, wrong: 0 })
  })

  test('of several attempts and lost calls, refused, rejected and published again are complete too', async () => {
    const audit = auditOf(
      [0, decision(0)],
      [0, attempt(0)],
      [0, decision(0, 2)],
      [0, attempt(0, 2, { costMicroUsd: 7 })],
      [0, attempt(0, 2, { callNo: 2, costMicroUsd: 8 })],
      [0, end(0, { attempts: 2, costMicroUsd: 20 })],
      [1, decision(1)],
      [1, end(1, { status: 'refused', attempts: 0 })],
      [2, end(2, { status: 'rejected', attempts: 0 })],
      [3, duplicate(3)],
      [4, decision(4)],
      [4, attempt(4)],
      [4, decision(4, 2)],
      [4, end(4, { status: 'failed' })],
      [5, end(5, { status: 'cancelled', attempts: 0 })],
    )
    const results = [
      result(0, { attempts: 2, costMicroUsd: 20 }),
      result(1, { status: 'refused', attempts: 0 }),
      result(2, { status: 'rejected', attempts: 0 }),
      result(4, { status: 'failed' }),
      result(5, { status: 'cancelled', attempts: 0 }),
    ]
    const found = await verify({ audit, results })
    expect(found.findings).toEqual([])
    expect(found.steps).toMatchObject({ complete: 5, duplicate: 1 })
  })

  const others = [...whole(1), ...whole(2)]
  const otherResults = [result(1, {}, 0), result(2, {}, 1)]
  test.each<[string, string, [number, AuditDraft][], ResultEntry[]]>([
    [
      'no decision',
      'decision_missing',
      [
        [0, attempt(0)],
        [0, end(0)],
      ],
      [result(0)],
    ],
    ['a decision twice', 'decision_repeated', [[0, decision(0)], ...whole(0)], [result(0)]],
    [
      'no attempt',
      'attempt_missing',
      [
        [0, decision(0)],
        [0, end(0, { costMicroUsd: 0 })],
      ],
      [result(0, { costMicroUsd: 0 })],
    ],
    ['an attempt twice', 'attempt_repeated', [[0, attempt(0, 1, { costMicroUsd: 0 })], ...whole(0)], [result(0)]],
    [
      'costs that do not add up',
      'cost_differs',
      [
        [0, decision(0)],
        [0, attempt(0)],
        [0, end(0, { costMicroUsd: 6 })],
      ],
      [result(0, { costMicroUsd: 6 })],
    ],
    ['no end', 'outcome_missing', [[0, decision(0)]], []],
    [
      'a result and no end',
      'outcome_missing',
      [
        [0, decision(0)],
        [0, attempt(0)],
      ],
      [result(0)],
    ],
    ['two ends', 'outcome_repeated', [...whole(0), [0, end(0)]], [result(0)]],
    ['no result', 'result_missing', whole(0), []],
    ['two results', 'result_repeated', whole(0), [result(0), result(0, {}, 50)]],
    ['another result than its end', 'result_differs', whole(0), [result(0, { status: 'failed' })]],
    ['a result with another code', 'result_differs', whole(0), [{ ...result(0), code: 'SHUNT_CANCELLED' }]],
    ['a result of another time', 'result_differs', whole(0), [{ ...result(0), finishedAtMs: Number.MAX_SAFE_INTEGER }]],
    [
      'an attempt that its end does not count',
      'result_differs',
      [...whole(0), [0, attempt(0, 2, { costMicroUsd: 0 })]],
      [result(0)],
    ],
  ])('with %s are told', async (_what, code, drafts, results) => {
    const found = await verify({ audit: auditOf(...drafts, ...others), results: [...otherResults, ...results] })
    expect(found.codes).toEqual([code])
    expect(found.findings[0]!.message).toContain(`step step-0 of tenant ${tenantId}`)
    expect(found.steps).toMatchObject({ wrong: 1, complete: 2 })
  })

  test('without an end are open for a day, or as long as is asked for', async () => {
    const log = { audit: auditOf(...whole(1), [5, decision(5)]), results: [result(1)] }
    const untilMs = startMs + 20 * hourMs
    expect(await verify(log, { range: { untilMs } })).toMatchObject({ codes: [], steps: { open: 1, complete: 1 } })
    expect((await verify(log, { range: { untilMs }, openForMs: hourMs })).codes).toEqual(['outcome_missing'])
  })

  test('that came before the range are not judged by what is left of them', async () => {
    const audit = auditOf(
      [0, decision(0)],
      [8, decision(8)],
      [9, attempt(0)],
      [9, end(0)],
      [9, attempt(8)],
      [9, end(8)],
    )
    const results = [
      { ...result(0), timestampMs: startMs + 10 * hourMs },
      { ...result(8), timestampMs: startMs + 10 * hourMs },
    ]
    const found = await verify({ audit, results }, { range: { sinceMs: startMs + 5 * hourMs } })
    expect(found).toMatchObject({ codes: [], steps: { complete: 1, 'not verifiable': 1 }, given: [{ seq: 2 }] })
  })

  test('whose result is no longer kept are counted apart', async () => {
    const found = await verify({ audit: auditOf(...whole(0), ...whole(1), ...whole(2)), results: [result(2, {}, 2)] })
    expect(found).toMatchObject({ codes: [], steps: { complete: 1, 'not verifiable': 2 } })
  })

  test('that an operator had decided again may be so once more for each order, and no other step', async () => {
    const requeued = (step: number): [number, AuditDraft] => [step, requeue(step)]
    const twice = (step: number): [number, AuditDraft][] => [[step, decision(step)], ...whole(step)]
    const results = [result(0), result(1)]
    const once = await verify({ audit: auditOf(requeued(0), ...twice(0), ...whole(1)), results })
    expect(once.findings).toEqual([])
    const other = await verify({ audit: auditOf(requeued(0), ...whole(0), ...twice(1)), results })
    expect(other.findings).toMatchObject([{ code: 'decision_repeated', message: expect.stringContaining('step-1') }])
    const again = await verify({ audit: auditOf(requeued(0), [0, decision(0)], ...twice(0), ...whole(1)), results })
    expect(again.codes).toEqual(['decision_repeated'])
  })

  test('that an order names and nobody knows are told of by nobody', async () => {
    const found = await verify({ audit: auditOf([0, requeue(0)], ...whole(1)), results: [result(1)] })
    expect(found).toMatchObject({ codes: [], steps: { complete: 1, 'not verifiable': 1 } })
  })

  test('whose records may lie beyond a bound of what was read are not missed there', async () => {
    const near = 30_000
    const log = {
      audit: auditOf([0, attempt(0)], [0, end(0)], [3, attempt(3)], [3, end(3)], ...whole(1)),
      results: [result(0), result(1), result(3)],
    }
    // Step 0 came right after the start by its publisher's clock, step 3 ended right before the end by its writer's.
    const range = { sinceMs: originOf(0).receivedAtMs - near, untilMs: startMs + 4 * hourMs + near }
    const steps = { complete: 1, 'not verifiable': 1, open: 1, wrong: 0 }
    expect(await verify(log, { range })).toMatchObject({ codes: [], steps })
    const wider = { sinceMs: range.sinceMs - hourMs, untilMs: range.untilMs + hourMs }
    expect((await verify(log, { range: wider })).codes).toEqual(['decision_missing', 'decision_missing'])
  })
})

describe('policies and scorers', () => {
  const named = (): MemoryLog => ({
    audit: auditOf(
      ...whole(0),
      [1, decision(1, 1, { scorerHash: Buffer.from(scorer.hash, 'hex') })],
      [1, attempt(1)],
      [1, end(1)],
    ),
    results: [result(0), result(1)],
  })
  const parts = splitScorer(scorer)

  test('that decisions name are there with the content of their hash', async () => {
    const found = await verify({ ...named(), policies: [policy, ...parts.toReversed(), ...parts] })
    expect(found).toMatchObject({ codes: [], policies: 2 })
  })

  test('that are missing or rewritten are told with their hash and the first decision', async () => {
    expect((await verify({ ...named(), policies: parts })).findings).toMatchObject([
      { code: 'policy_missing', place: { offset: 0 }, message: expect.stringContaining(`${policy.hash} is missing`) },
    ])
    const rewritten = { ...policy, content: Buffer.from('{"models":[1]}') }
    expect((await verify({ ...named(), policies: [policy, rewritten, ...parts] })).findings).toMatchObject([
      {
        code: 'policy_rewritten',
        message: expect.stringMatching(
          `${policy.hash} was rewritten.* 2 decisions name it, the first at 0/0 of step step-0`,
        ),
      },
    ])
    expect((await verify({ ...named(), policies: [policy, parts[0]!] })).findings).toMatchObject([
      { code: 'scorer_missing', place: { offset: 3 }, message: expect.stringContaining('is not whole') },
    ])
    for (const order of [
      [{ ...parts[1]!, content: Buffer.alloc(9) }, parts[0]!, parts[2]!],
      [...parts, { ...parts[1]!, content: Buffer.alloc(0) }],
    ])
      expect((await verify({ ...named(), policies: [policy, ...order] })).codes).toEqual(['scorer_rewritten'])
  })

  test('that were published again after they had been rewritten are right', async () => {
    const rewritten = { ...policy, content: Buffer.from('x') }
    const damaged = { ...parts[1]!, content: Buffer.alloc(5) }
    const policies = [policy, rewritten, policy, ...parts, damaged, parts[1]!]
    expect((await verify({ ...named(), policies })).codes).toEqual([])
  })
})

test('a body that cannot be decoded is told, and the first finding is the earliest', async () => {
  const audit = auditOf(...whole(0), ...whole(1))
  const broken = audit.with(5, { ...audit[5]!, record: { ...audit[5]!.record!, body: Buffer.from('no body') } })
  const found = await verify({ audit: broken, results: [result(0), result(1)] }, { steps: false })
  expect(found).toMatchObject({ codes: ['body_undecodable'], steps: null, first: { seq: 6, place: { offset: 5 } } })
})

test('reading stops when it is aborted', async () => {
  const stop = new AbortController()
  const reading = verify(
    { audit: auditOf(...whole(0), ...whole(1), ...whole(2)) },
    { signal: stop.signal, onEntry: () => stop.abort() },
  )
  await expect(reading).rejects.toThrow('aborted')
})

describe('a link that its lane has committed', () => {
  const audit = auditOf(...whole(0), ...whole(1))
  const last = audit.at(-1)!.record!
  const marks: ChainMark[] = [{ ...last, by: 'lane', hash: linkHash(last), atMs: 1, place: null }]

  /** The last link can be read from the second reading on, or never. */
  async function verifyLate(options: Partial<VerifyLogOptions> & { never?: boolean }) {
    const [early, late] = [await memorySource({ audit: audit.slice(0, -1) }), await memorySource({ audit })]
    let readings = 0
    const findings = createFindings(10)
    const source: AuditSource = {
      ...late,
      audit: (...args) => ((readings += 1) > 1 && !options.never ? late : early).audit(...args),
    }
    const summary = await verifyLog(source, {
      nowMs: Date.now,
      report: findings.report,
      steps: false,
      marks,
      ...options,
    })
    return { codes: findings.kept.map(({ code }) => code), compared: summary.compared, readings }
  }

  test('and that cannot be read yet is waited for', async () => {
    const found = await verifyLate({})
    expect(found).toEqual({ codes: ['policy_missing'], compared: 1, readings: 2 })
  })

  test('is missing where it does not come', async () => {
    expect((await verifyLate({ never: true, laneWaitMs: 10 })).codes).toContain('tail_truncated')
  })

  test('is not waited for where its chain was not read at all', async () => {
    expect(await verifyLate({ never: true, range: { sinceMs: startMs + 100 * hourMs } })).toMatchObject({ readings: 1 })
  })
})
