import { expect, test } from 'vitest'
import type { Fold, Folded } from '#lib/ledger/fold'
import { createLedgerHandle, type LedgerHandleDeps } from '../../../services/ledger/handle-record.ts'
import { codec, nowMs, recordOf } from '../classifier/rig.ts'

const signal = new AbortController().signal

function ledger(change: { state?: Folded; overMicroUsd?: number; stranger?: boolean } = {}) {
  const { state = 'folded', overMicroUsd = 0, stranger = false } = change
  const noted: unknown[] = []
  const told: unknown[] = []
  const fold: Fold = {
    decision: () => Promise.resolve(state),
    attempt: () => Promise.resolve({ state, overMicroUsd }),
    outcome: () => Promise.resolve(state),
    feedback: () => Promise.resolve(state),
  }
  const deps: LedgerHandleDeps = {
    codec,
    namespace: '',
    fold,
    state: {
      isStranger: () => Promise.resolve(stranger),
      note: (place, offset) => Promise.resolve(void noted.push([place, offset])),
    },
    setCap: (order) => Promise.resolve(void told.push(order)),
    folded: () => {},
    overSettled: (record) => told.push(record),
    unreadable: (_record, error) => told.push((error as Error).name),
  }
  return { handle: createLedgerHandle(deps), noted, told }
}

const feedback = (tenantId = 'acme') =>
  recordOf(
    codec.encode('step-feedback', {
      stepId: 's',
      taskId: 't',
      tenantId,
      verdict: 'wrong',
      code: null,
      actor: null,
      atMs: nowMs,
    }),
    { topic: 'agent.feedback' },
  )

const order = (name: string, value: object) =>
  recordOf(
    codec.encode('control-order', {
      name,
      orderId: 'o',
      actor: 'ops',
      reason: 'why',
      atMs: nowMs,
      value: JSON.stringify(value),
    }),
    { topic: 'agent.control' },
  )

test('a record that is folded is noted, and leads to nothing', async () => {
  const { handle, noted } = ledger()
  expect(await handle(feedback(), signal)).toEqual({ records: [] })
  expect(noted).toEqual([['agent.feedback/2', 41]])
})

test('a record of a lost ledger waits, and is not noted', async () => {
  const { handle, noted } = ledger({ state: 'lost' })
  await expect(handle(feedback(), signal)).rejects.toMatchObject({ code: 'SHUNT_LEDGER_LOST', retryable: true })
  expect(noted).toEqual([])
})

test('one of a tenant that no policy ever knew is passed over', async () => {
  const { handle, noted } = ledger({ state: 'lost', stranger: true })
  expect(await handle(feedback('nobody'), signal)).toEqual({ records: [] })
  expect(noted).toHaveLength(1)
})

test('bytes in the audit that are no record are told of and passed over', async () => {
  const { handle, noted, told } = ledger()
  expect(await handle(recordOf(Buffer.from('xyz'), { topic: 'agent.audit' }), signal)).toEqual({ records: [] })
  expect([noted.length, told]).toEqual([1, ['ShuntError']])
})

test('I7: feedback may be JSON, and what is none is for the dead letters', async () => {
  const { handle, noted } = ledger()
  const json = { stepId: 's', taskId: 't', tenantId: 'acme', verdict: 'right', atMs: nowMs }
  await handle(recordOf(Buffer.from(JSON.stringify(json)), { topic: 'agent.feedback' }), signal)
  expect(noted).toHaveLength(1)
  for (const value of ['xyz', JSON.stringify({ ...json, verdict: 'fine' })]) {
    const record = recordOf(Buffer.from(value), { topic: 'agent.feedback' })
    await expect(handle(record, signal)).rejects.toMatchObject({ retryable: false })
  }
})

test("an operator's order goes into the audit, and a cap among them into force", async () => {
  const { handle, told } = ledger()
  const paused = await handle(order('pause/frontier', { paused: true }), signal)
  expect(paused.audit?.map(({ type }) => type)).toEqual(['operator'])
  expect(await codec.decode('operator-record', paused.audit![0]!.body)).toMatchObject({
    order: { name: 'pause/frontier', actor: 'ops', reason: 'why' },
    offset: 41,
  })
  expect(told).toEqual([])
  const cap = { tenantId: 'acme', taskId: 't', capMicroUsd: 5 }
  await handle(order('budget/acme/task/t', cap), signal)
  expect(told).toEqual([cap])
  const nonsense = await handle(order('budget/acme/day', { capMicroUsd: -1 }), signal)
  expect([nonsense.audit?.length, told.length]).toEqual([1, 1])
})

test('an order that puts a policy in force is told as one; one that names no policy is an order all the same', async () => {
  const { handle } = ledger()
  const hash = 'ab'.repeat(32)
  const [activated] = (await handle(order('policy', { hash }), signal)).audit!
  expect(activated!.type).toBe('policy_activated')
  expect(await codec.decode('policy-activated-record', activated!.body)).toMatchObject({
    order: { name: 'policy', actor: 'ops', reason: 'why', value: JSON.stringify({ hash }) },
    offset: 41,
    policyHash: Buffer.from(hash, 'hex'),
  })
  for (const value of [{ hash: 'abab' }, { hash: 7 }, {}, null, hash]) {
    const [other] = (await handle(order('policy', value as object), signal)).audit!
    expect(other!.type).toBe('operator')
    expect(await codec.decode('operator-record', other!.body)).toMatchObject({
      order: { name: 'policy', value: JSON.stringify(value) },
    })
  }
})
