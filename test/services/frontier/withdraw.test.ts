import { expect, test } from 'vitest'
import { readAttempt, type StoredAnswers } from '#lib/ledger/stored-answers'
import type { ModelJob } from '#lib/worker/call-end'
import type { WithdrawnBecause } from '#lib/worker/handle-routed-step'
import { createWithdraw } from '../../../services/frontier/withdraw.ts'

const end = JSON.stringify({ endedAtMs: 20, promptTokens: 3, completionTokens: 2, standIn: false })
const failed = (reason: string) => JSON.stringify({ ...JSON.parse(end), failure: { reason, message: '' } })

/** One attempt, at the second of two providers, as the scripts keep it. */
function harness(fields: Record<string, string> | null, nowMs = 50) {
  const closed: string[] = []
  const answers: Pick<StoredAnswers, 'read' | 'close' | 'answer'> = {
    read: ({ queue }) => Promise.resolve(fields && queue === 'second~big' ? readAttempt(fields) : null),
    close(_ref, why) {
      if (fields!['state'] === 'ended') return Promise.resolve(false)
      closed.push(why)
      fields = { ...fields, state: 'ended', last: '0', closed: why }
      return Promise.resolve(true)
    },
    answer: () => Promise.resolve({ id: 'x' }),
  }
  const place = (id: string) => ({ id, tier: 'frontier' as const, region: 'eu', complianceTags: [] })
  const job = {
    routed: { step: {}, origin: { topic: 's', partition: 0, offset: 1 }, decision: { attempt: 1 } },
    model: { id: 'big' },
    knownPlaces: [place('first'), place('second')],
    deadlineAtMs: 1_000,
  } as unknown as ModelJob
  const withdraw = createWithdraw(
    { answers: answers as StoredAnswers, keys: null, nowMs: () => nowMs },
    { deadlineGraceMs: 100 },
  )
  return { withdraw: (why: WithdrawnBecause) => withdraw(job, why), closed }
}

test('an attempt that was never queued has nothing to withdraw', async () => {
  const { withdraw, closed } = harness(null)
  expect([await withdraw('cancelled'), closed]).toEqual([null, []])
})

test('one that waits in its queue is closed, so that nobody calls for it later', async () => {
  const { withdraw, closed } = harness({ state: 'open' })
  expect([await withdraw('cancelled'), closed]).toEqual([null, ['cancelled']])
})

test('calls that were made are told of, with those whose answers are lost', async () => {
  const made = { state: 'open', calls: '1', 'start:1': '5', 'end:1': failed('timeout') }
  expect(await harness(made).withdraw('cancelled')).toMatchObject({ kind: 'cancelled', earlier: [{ callNo: 1 }] })
  expect(await harness(made).withdraw('deadline')).toMatchObject({ kind: 'expired', earlier: [{ callNo: 1 }] })
})

test('a call under way is waited for, until the deadline and its grace', async () => {
  const calling = { state: 'open', calls: '1', 'start:1': '5' }
  const { withdraw, closed } = harness(calling)
  await expect(withdraw('cancelled')).rejects.toMatchObject({ name: 'HeldError', retryable: true })
  await expect(harness(calling, 1_099).withdraw('deadline')).rejects.toMatchObject({ name: 'HeldError' })
  expect(closed).toEqual([])
  expect(await harness(calling, 1_100).withdraw('deadline')).toMatchObject({
    kind: 'expired',
    earlier: [{ callNo: 1 }],
  })
})

test('an answer that came meanwhile wins', async () => {
  const answered = { state: 'ended', calls: '1', last: '1', 'start:1': '5', 'end:1': end }
  expect(await harness(answered).withdraw('cancelled')).toMatchObject({ kind: 'answered', callNo: 1 })
})

test('one whose text was erased is closed in its queue, and told of where calls were made', async () => {
  const waiting = harness({ state: 'open' })
  expect([await waiting.withdraw('text_erased'), waiting.closed]).toEqual([null, ['text_erased']])
  const made = { state: 'open', calls: '1', 'start:1': '5', 'end:1': failed('timeout') }
  const withdrawn = await harness(made).withdraw('text_erased')
  expect(withdrawn).toMatchObject({ kind: 'failed', verdict: 'cancelled', earlier: [{ callNo: 1 }] })
})
