import { expect, test } from 'vitest'
import type { StepResult } from '#lib/events/types.generated'
import { createWaits, endsPublication } from '#lib/client/waits'

const key = { tenantId: 'acme', stepId: 's1' }
const place = { topic: 'agent.steps', partition: 2, offset: 41 }

function result(more: Partial<StepResult> = {}): StepResult {
  return {
    ...key,
    taskId: 't1',
    status: 'completed',
    code: null,
    message: null,
    answer: '{"choices":[]}',
    tier: 'oss',
    model: 'm',
    backend: 'b',
    standIn: false,
    reasons: [],
    costMicroUsd: 0,
    promptTokens: 1,
    completionTokens: 1,
    attempts: [],
    policyHash: null,
    origin: { ...place, receivedAtMs: 0 },
    sequence: null,
    batchId: null,
    metadata: {},
    finishedAtMs: 0,
    ...more,
  }
}

test('a wait ends with the result and leaves nothing behind', async () => {
  const waits = createWaits()
  const waiting = waits.wait(key)
  waits.offer(result())
  expect((await waiting).status).toBe('completed')
  expect(waits.size()).toEqual({ waiting: 0, idle: 0 })
})

test('every wait for a step gets its result', async () => {
  const waits = createWaits()
  const both = Promise.all([waits.wait(key), waits.wait(key)])
  waits.offer(result())
  expect(await both).toHaveLength(2)
})

test('steps of the same id and another tenant are other steps', async () => {
  const waits = createWaits()
  const waiting = waits.wait(key, { timeoutMs: 20 })
  waits.offer(result({ tenantId: 'other' }))
  await expect(waiting).rejects.toMatchObject({ code: 'SHUNT_AWAIT_TIMEOUT', retryable: true })
  expect(waits.size()).toEqual({ waiting: 0, idle: 0 })
})

test('a result that comes before anybody waits is kept for a published step, and for no other', async () => {
  const waits = createWaits()
  waits.offer(result({ stepId: 'unpublished' }))
  expect(waits.size().idle).toBe(0)
  waits.publishing(key)
  waits.offer(result())
  waits.published(key, place)
  expect((await waits.wait(key)).stepId).toBe('s1')
  expect(waits.size()).toEqual({ waiting: 0, idle: 0 })
})

test('a result that overtakes the acknowledgement is held until the place is known', async () => {
  const waits = createWaits()
  waits.publishing(key)
  const waiting = waits.wait(key)
  waits.offer(result({ status: 'rejected', origin: { ...place, offset: 7, receivedAtMs: 0 } }))
  waits.offer(result({ message: 'mine' }))
  waits.published(key, place)
  expect((await waiting).message).toBe('mine')
})

test("another record's rejection does not end the wait", async () => {
  const waits = createWaits()
  waits.publishing(key)
  waits.published(key, place)
  const waiting = waits.wait(key)
  waits.offer(result({ status: 'rejected', origin: { ...place, offset: 42, receivedAtMs: 0 } }))
  waits.offer(result({ message: 'mine' }))
  expect((await waiting).message).toBe('mine')
})

test('without a known place only a conflict is known to be about another record', () => {
  const rejected = result({ status: 'rejected', code: 'SHUNT_EVENT_INVALID' })
  expect(endsPublication(rejected, undefined)).toBe(true)
  expect(endsPublication({ ...rejected, code: 'SHUNT_STEP_ID_CONFLICT' }, undefined)).toBe(false)
  expect(endsPublication({ ...rejected, code: 'SHUNT_STEP_ID_CONFLICT' }, place)).toBe(true)
})

test('a signal ends the wait with its reason', async () => {
  const waits = createWaits()
  const stop = new AbortController()
  const waiting = waits.wait(key, { signal: stop.signal })
  stop.abort(new Error('enough'))
  await expect(waiting).rejects.toThrow('enough')
  await expect(waits.wait(key, { signal: stop.signal })).rejects.toThrow('enough')
  expect(waits.size()).toEqual({ waiting: 0, idle: 0 })
})

test('a failed publication is forgotten', () => {
  const waits = createWaits()
  waits.publishing(key)
  waits.published(key, undefined)
  expect(waits.size()).toEqual({ waiting: 0, idle: 0 })
})

test('what nobody waits for is bounded by count and by size, the oldest goes first', async () => {
  const waits = createWaits({ maxIdle: 3, maxIdleChars: 100 })
  for (let i = 0; i < 5; i++) {
    waits.publishing({ tenantId: 'acme', stepId: `s${i}` })
    waits.published({ tenantId: 'acme', stepId: `s${i}` }, place)
  }
  expect(waits.size().idle).toBe(3)
  waits.offer(result({ stepId: 's3', answer: 'x'.repeat(60) }))
  waits.offer(result({ stepId: 's4', answer: 'x'.repeat(60) }))
  expect(waits.size().idle).toBe(1)
  expect((await waits.wait({ tenantId: 'acme', stepId: 's4' })).stepId).toBe('s4')
})

test('closing fails all waits, now and later', async () => {
  const waits = createWaits()
  const waiting = waits.wait(key)
  waits.close(new Error('closed'))
  await expect(waiting).rejects.toThrow('closed')
  await expect(waits.wait(key)).rejects.toThrow('closed')
})
