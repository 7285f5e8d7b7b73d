import { expect, test } from 'vitest'
import { linkHash } from '#lib/audit/chain'
import type { AuditRecord, AuditType, StepResult } from '#lib/events/types.generated'
import { expectAuditTellsOf, expectWholeChains, type ReadLink } from './audit-chains.ts'

/** A chain as a lane writes it: the types of its links by epoch. */
function chainOf(...epochs: AuditType[][]): ReadLink[] {
  const links: ReadLink[] = []
  for (const [index, types] of epochs.entries()) {
    let prevHash: Buffer = Buffer.alloc(32)
    for (const [at, type] of types.entries()) {
      const record: AuditRecord = {
        chainId: 'group/topic/0',
        epoch: index + 1,
        seq: at + 1,
        prevHash,
        type,
        body: Buffer.from(type),
      }
      prevHash = linkHash(record)
      links.push({ partition: 0, offset: links.length, record, body: null })
    }
  }
  return links
}

test('a whole chain passes, with a reset at a later epoch', () => {
  const links = chainOf(['decision', 'outcome'], ['lane_reset', 'decision'])
  expect(expectWholeChains(links)).toEqual(new Map([['group/topic/0', 4]]))
})

test('finds a link that is missing, doubled, changed or in another partition', () => {
  const types: AuditType[] = ['decision', 'decision', 'outcome']
  expect(() => expectWholeChains(chainOf(types).toSpliced(1, 1))).toThrow(/seq 3 .* follows seq 1/)
  const doubled = chainOf(types)
  doubled.push({ ...doubled[2]!, offset: 3 })
  expect(() => expectWholeChains(doubled)).toThrow(/seq 3 .* follows seq 3/)
  const changed = chainOf(types)
  changed[1]!.record.body = Buffer.from('another')
  expect(() => expectWholeChains(changed)).toThrow(/seq 3 .* does not name the hash/)
  const moved = chainOf(types)
  moved[2]!.partition = 1
  expect(() => expectWholeChains(moved)).toThrow(/seq 3 .* lies elsewhere/)
})

test('an epoch must begin with a reset, and follow the one before', () => {
  expect(() => expectWholeChains(chainOf(['decision'], ['decision']))).toThrow(/no lane_reset/)
  expect(() => expectWholeChains(chainOf([], ['lane_reset']))).toThrow(/opens the chain with a later epoch/)
  expect(() => expectWholeChains(chainOf(['decision'], [], ['lane_reset']))).toThrow(/follows epoch 1/)
})

const result = {
  tenantId: 'acme',
  stepId: 's',
  status: 'completed',
  attempts: [{ attempt: 1, callNo: 2 }],
  costMicroUsd: 30,
} as StepResult
const link = (type: AuditType, body: object): ReadLink => ({ ...chainOf([type])[0]!, body })
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
