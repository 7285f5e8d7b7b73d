import { describe, expect, test } from 'vitest'
import { linkHash } from '#lib/audit/chain'
import type { ChainMark } from '#lib/audit/chain-marks'
import { createFindings } from '#lib/audit/findings'
import { policyActivatedDraft } from '#lib/audit/records'
import type { AuditSource } from '#lib/audit/source'
import { verifyLog, type VerifyLogOptions } from '#lib/audit/verify-log'
import { splitScorer, scorerBytes } from '#lib/policy/scorer-parts'
import { memorySource, type MemoryLog } from '../../support/memory-source.ts'
import {
  attempt,
  auditOf,
  codec,
  decision,
  end,
  hourMs,
  policy,
  policyHash,
  result,
  startMs,
  verify,
  whole,
} from '../../support/step-log.ts'

const scorer = scorerBytes(Buffer.alloc(2_000_000, 'weights'))

test('a first record that was removed is told, where it is known that the log begins before it', async () => {
  // Offset 0 was taken by a transaction that was aborted.
  const audit = auditOf(...whole(0), ...whole(1)).map((entry) => ({ ...entry, offset: entry.offset + 1 }))
  const starts = { 'agent.audit/0': 0 }
  const log = { results: [result(0), result(1)], starts }
  expect((await verify({ ...log, audit })).codes).toEqual([])
  const cut = await verify({ ...log, audit: audit.slice(1) }, { steps: false })
  expect(cut).toMatchObject({ codes: ['link_missing'], given: [], first: { seq: 1 } })
  const expired = await verify({ ...log, audit: audit.slice(1), starts: { 'agent.audit/0': 2 } }, { steps: false })
  expect(expired).toMatchObject({ codes: [], given: [{ seq: 2 }] })
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

test('a policy that came in force is a link like any other, and its body is looked at', async () => {
  const order = { name: 'policy', orderId: 'o', actor: 'a', reason: 'r', atMs: 1, value: '{}' }
  const activated = policyActivatedDraft(codec, { order, offset: 1, policyHash })
  const log = { results: [result(0)] }
  expect((await verify({ ...log, audit: auditOf([0, activated], ...whole(0)) })).findings).toEqual([])
  const broken = { ...activated, body: activated.body.subarray(0, -1) }
  const found = await verify({ ...log, audit: auditOf([0, broken], ...whole(0)) })
  expect(found).toMatchObject({ codes: ['body_undecodable'], first: { seq: 1 }, links: 4 })
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

  test('is the last one, and what comes after was written by somebody else', async () => {
    const options = { laneWaitMs: 0, steps: false, marks }
    const at = (seq: number, chainId = last.chainId) => Promise.resolve(new Map([[chainId, { epoch: 1, seq }]]))
    const verifyAt = (committed: VerifyLogOptions['committed']) => verify({ audit }, { ...options, committed })
    for (const committed of [() => at(6), () => at(7), () => at(1, 'another lane')])
      expect((await verifyAt(committed)).codes).toEqual([])
    const message = expect.stringContaining('seq 6 at 0/5, and its lane has committed epoch 1 seq 5')
    expect((await verifyAt(() => at(5))).findings).toMatchObject([{ code: 'link_uncommitted', seq: 6, message }])
    expect((await verifyAt(async () => new Map([[last.chainId, { epoch: 0, seq: 0 }]]))).codes).toEqual([
      'link_uncommitted',
    ])
    // Its commit is seen later than its link.
    let asked = 0
    expect(
      (await verify({ audit }, { ...options, laneWaitMs: 10_000, nowMs: Date.now, committed: () => at(asked++ + 5) }))
        .codes,
    ).toEqual([])
  })

  test('and its commit are not waited for any longer once the reading is aborted', async () => {
    const never = { laneWaitMs: 60_000, steps: false, nowMs: Date.now }
    const link = { ...never, marks: marks.map((mark) => ({ ...mark, seq: 99 })) }
    const commit = { ...never, committed: () => Promise.resolve(new Map([[last.chainId, { epoch: 1, seq: 1 }]])) }
    for (const options of [link, commit])
      await expect(verify({ audit }, { ...options, signal: AbortSignal.timeout(200) })).rejects.toThrow('aborted')
  })

  test('is not waited for where its chain was not read at all', async () => {
    expect(await verifyLate({ never: true, range: { sinceMs: startMs + 100 * hourMs } })).toMatchObject({ readings: 1 })
  })
})
