import { describe, expect, test } from 'vitest'
import type { ResultEntry } from '#lib/audit/source'
import type { AuditDraft } from '#lib/stream/types'
import {
  attempt,
  auditOf,
  decision,
  duplicate,
  end,
  hourMs,
  originOf,
  requeue,
  result,
  startMs,
  tenantId,
  verify,
  whole,
} from '../../support/step-log.ts'

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
    [
      'no record of a call before the last one',
      'attempt_missing',
      [
        [0, decision(0)],
        [0, attempt(0, 1, { callNo: 2_000_000_000 })],
        [0, end(0)],
      ],
      [result(0)],
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

  test('whose result lay in a partition that retention emptied are counted apart', async () => {
    const log = { audit: auditOf(...whole(0), ...whole(1)), results: [result(1)] }
    const emptied = { 'agent.audit/0': 0, 'agent.results/0': 0, 'agent.results/1': 7 }
    const steps = { complete: 1, 'not verifiable': 1, wrong: 0 }
    expect(await verify({ ...log, starts: emptied })).toMatchObject({ codes: [], steps })
    expect((await verify({ ...log, starts: { ...emptied, 'agent.results/1': 0 } })).codes).toEqual(['result_missing'])
  })

  test('that were decided before the log begins are not judged, whatever is asked for', async () => {
    // A whole chain of decisions has expired: of the partition nothing says so but where it begins.
    const audit = auditOf([2, attempt(0)], [2, end(0)], ...whole(4))
    const log = { audit, results: [result(0), result(4)] }
    const options = [{}, { range: { sinceMs: startMs - 1_000 * hourMs } }]
    for (const option of options) {
      const found = await verify({ ...log, starts: { 'agent.audit/0': 9 } }, option)
      expect(found).toMatchObject({ codes: [], steps: { complete: 1, 'not verifiable': 1 } })
      expect((await verify({ ...log, starts: { 'agent.audit/0': 0 } }, option)).codes).toEqual(['decision_missing'])
    }
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
