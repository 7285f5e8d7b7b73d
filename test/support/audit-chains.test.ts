import { expect, test } from 'vitest'
import { linkHash } from '#lib/audit/chain'
import type { AuditRecord, AuditType, StepResult } from '#lib/events/types.generated'
import { expectAuditTellsOf, expectWholeChains, type ReadLink } from './audit-chains.ts'

function chainOf(...types: AuditType[]): ReadLink[] {
  let prevHash: Buffer = Buffer.alloc(32)
  return types.map((type, at) => {
    const record: AuditRecord = {
      chainId: 'group/topic/0',
      epoch: 1,
      seq: at + 1,
      prevHash,
      type,
      body: Buffer.from(type),
    }
    prevHash = linkHash(record)
    return { partition: 0, offset: at, record, body: null }
  })
}

test('a whole chain passes, and is counted', () => {
  expect(expectWholeChains(chainOf('decision', 'outcome').toReversed())).toEqual(new Map([['group/topic/0', 2]]))
})

test('a chain that lacks a link, or its beginning, does not', () => {
  const chain = chainOf('decision', 'attempt', 'outcome')
  expect(() => expectWholeChains(chain.toSpliced(1, 1))).toThrow('link_missing: group/topic/0: seq 2 is missing')
  expect(() => expectWholeChains(chain.slice(1))).toThrow('begins with epoch 1 seq 2')
})

const result = {
  tenantId: 'acme',
  stepId: 's',
  status: 'completed',
  attempts: [{ attempt: 1, callNo: 2 }],
  costMicroUsd: 30,
} as StepResult
const link = (type: AuditType, body: object): ReadLink => ({ ...chainOf(type)[0]!, body })
const call = (callNo: number, costMicroUsd: number) =>
  link('attempt', { tenantId: 'acme', stepId: 's', attempt: { attempt: 1, callNo, costMicroUsd } })
const decision = link('decision', { stepId: 's', attempt: 1, facts: { tenantId: 'acme' } })
const outcome = link('outcome', { tenantId: 'acme', stepId: 's', status: 'completed' })
const whole = [decision, outcome, call(2, 20), call(1, 10)]

test('an audit that tells of each decision, call and outcome once passes', () => {
  expect(() => expectAuditTellsOf([result], whole)).not.toThrow()
})

test('finds a decision, call or outcome that is missing or told twice', () => {
  for (const [at, what] of ['no decision', '0 outcomes', 'no attempt', 'its attempts 20'].entries())
    expect(() => expectAuditTellsOf([result], whole.toSpliced(at, 1))).toThrow(what)
  for (const [at, what] of ['2 times', '2 outcomes', '2 times', '2 times'].entries())
    expect(() => expectAuditTellsOf([result], [...whole, whole[at]!])).toThrow(what)
})
