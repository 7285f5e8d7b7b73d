import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { expect, inject, onTestFinished, test } from 'vitest'
import { createStoredAnswers, type StoredCallEnd, type StoredOutcome } from '#lib/ledger/stored-answers'

function openAttempt() {
  const redis = new Redis(inject('stack').redisUrl)
  onTestFinished(() => redis.disconnect())
  const answers = createStoredAnswers({ redis, namespace: `test-${randomUUID().slice(0, 8)}` })
  const ref = { queue: 'p~big', jobId: 'a1' }
  return { answers, ref, begin: () => answers.begin(ref, 1, 3) }
}

const failed: StoredCallEnd = {
  endedAtMs: 2,
  promptTokens: 0,
  completionTokens: 0,
  standIn: false,
  failure: { reason: 'rate_limited', message: '' },
}
const more: StoredOutcome = { answer: null, final: false, counts: true }

test('calls of which nothing was heard again end the attempt once they are used up', async () => {
  const { answers, ref, begin } = openAttempt()
  await answers.open(ref, {})
  for (let callNo = 1; callNo <= 3; callNo++) expect(await begin()).toEqual({ callNo, left: 3 - callNo })
  expect(await begin()).toBeNull()
  expect(await answers.read(ref)).toMatchObject({ ended: true, last: 0, closed: 'calls_used_up' })
  expect((await answers.read(ref))?.calls).toHaveLength(3)
  expect(await answers.request(ref)).toBeNull()
  expect(await answers.open(ref, {})).toBe(false)
  expect(await begin()).toBeNull()
})

test('a call that the provider turned away leaves as many as before', async () => {
  const { answers, ref, begin } = openAttempt()
  await answers.open(ref, {})
  for (let callNo = 1; callNo <= 5; callNo++) {
    expect(await begin()).toEqual({ callNo, left: 2 })
    await answers.end(ref, callNo, failed, { ...more, counts: false })
  }
  expect(await begin()).toEqual({ callNo: 6, left: 2 })
  await answers.end(ref, 6, failed, more)
  expect(await begin()).toEqual({ callNo: 7, left: 1 })
})

test('an attempt that nobody opened gets no call', async () => {
  expect(await openAttempt().begin()).toBeNull()
})
