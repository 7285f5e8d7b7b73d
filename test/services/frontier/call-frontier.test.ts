import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createOrdersInForce } from '#lib/control/orders-in-force'
import { readAttempt, type AttemptRef, type StoredAnswers } from '#lib/ledger/stored-answers'
import type { ModelJob } from '#lib/worker/call-end'
import { callFrontierDefaults, createCallFrontier } from '../../../services/frontier/call-frontier.ts'
import type { ModelQueue } from '../../../services/frontier/model-queue.ts'
import type { ModelQueues } from '../../../services/frontier/model-queues.ts'
import { makeOrder } from '../../lib/control/make-order.ts'

beforeEach(() => void vi.useFakeTimers({ now: 10_000 }))
afterEach(() => void vi.useRealTimers())

const end = JSON.stringify({ endedAtMs: 20, promptTokens: 3, completionTokens: 2, standIn: false })

/** Two queues of one model; the attempts in them as the scripts keep them. */
function harness() {
  const attempts = new Map<string, Record<string, string>>()
  const answers: Pick<StoredAnswers, 'open' | 'read' | 'close' | 'answer'> = {
    open({ queue }: AttemptRef) {
      if (!attempts.has(queue)) attempts.set(queue, { state: 'open' })
      return Promise.resolve(true)
    },
    read: ({ queue }) => Promise.resolve(attempts.has(queue) ? readAttempt(attempts.get(queue)!) : null),
    close({ queue }, closed) {
      attempts.set(queue, { ...attempts.get(queue), state: 'ended', last: '0', closed })
      return Promise.resolve(true)
    },
    answer: () => Promise.resolve({ id: 'x' }),
  }
  const added: string[] = []
  const queueOf = (id: string) =>
    ({
      name: `${id}~big`,
      spec: { place: { id, tier: 'frontier', region: 'eu', complianceTags: [] }, model: 'big' },
      add: () => Promise.resolve(void added.push(id)),
      has: () => Promise.resolve(true),
      onEnd: () => () => {},
      closed: () => false,
    }) as unknown as ModelQueue
  const queues = [queueOf('first'), queueOf('second')]
  const orders = createOrdersInForce({ nowMs: Date.now, log: { info() {}, error() {} } })
  const step = { tenantId: 'acme', taskId: 't', batchId: null, publishedAtMs: 9_000 }
  const job = {
    routed: {
      step: { ...step, request: '{}', priority: 'interactive' },
      origin: { topic: 's', partition: 0, offset: 1 },
      decision: { attempt: 1 },
    },
    model: { id: 'big', tokenMarginPpm: 1_150_000 },
    hinted: { messages: [] },
    permits: () => true,
    orders: orders.of({ ...step, call: { tier: 'frontier', model: 'big' } }, 60_000),
    deadlineAtMs: 60_000,
  } as unknown as ModelJob
  const held: number[] = []
  const holdCalls = (_attempt: unknown, calls: number) => Promise.resolve(held.push(calls) < 2)
  const deps = {
    holdCalls,
    keys: null,
    queues: { serving: () => queues } as unknown as ModelQueues,
    answers: answers as StoredAnswers,
  }
  const callFrontier = createCallFrontier({ ...deps, nowMs: Date.now }, callFrontierDefaults)
  const ended = {
    kind: undefined as string | undefined,
    code: undefined as string | undefined,
    earlier: undefined as number[] | undefined,
    callNo: undefined as number | undefined,
  }
  const run = () =>
    callFrontier(job, new AbortController().signal).then(
      ({ kind, callNo, earlier }) =>
        void Object.assign(ended, { kind, callNo, earlier: earlier.map((each) => each.callNo) }),
      ({ code }: { code: string }) => void (ended.code = code),
    )
  return { run, orders, attempts, added, ended, held }
}

test('a step that is cancelled in the queue is closed there, uncalled', async () => {
  const { run, orders, attempts, ended } = harness()
  void run()
  await vi.advanceTimersByTimeAsync(1_500)
  orders.take(makeOrder('cancel/task/acme/t', { atMs: 11_500 }))
  await vi.advanceTimersByTimeAsync(2_000)
  expect(ended.kind).toBe('cancelled')
  expect(attempts.get('first~big')).toMatchObject({ state: 'ended', closed: 'cancelled' })
})

test('one that is cancelled or paused during its call gets the answer', async () => {
  for (const name of ['cancel/task/acme/t', 'pause/frontier']) {
    const { run, orders, attempts, ended } = harness()
    void run()
    await vi.advanceTimersByTimeAsync(500)
    attempts.set('first~big', { state: 'open', calls: '1', 'start:1': '1' })
    orders.take(makeOrder(name, { atMs: Date.now() }))
    await vi.advanceTimersByTimeAsync(10_000)
    expect(ended).toMatchObject({ kind: undefined, code: undefined })
    attempts.set('first~big', { state: 'ended', calls: '1', 'start:1': '1', last: '1', 'end:1': end })
    await vi.advanceTimersByTimeAsync(1_000)
    expect(ended.kind).toBe('answered')
  }
})

test('a paused step keeps its slot while another replica may not know yet, then gives it up; its job stays', async () => {
  const { run, orders, attempts, ended } = harness()
  void run()
  await vi.advanceTimersByTimeAsync(500)
  orders.take(makeOrder('pause/frontier', { atMs: Date.now() }))
  await vi.advanceTimersByTimeAsync(4_000)
  expect(ended).toMatchObject({ kind: undefined, code: undefined })
  await vi.advanceTimersByTimeAsync(2_500)
  expect(ended.code).toBe('SHUNT_PAUSED')
  expect(attempts.get('first~big')).toEqual({ state: 'open' })
})

test('a step that comes again goes to the queue where its job is, though another would come first', async () => {
  const { run, attempts, added } = harness()
  attempts.set('second~big', { state: 'open' })
  void run()
  await vi.advanceTimersByTimeAsync(100)
  expect([added, attempts.has('first~big')]).toEqual([['second'], false])
})

test('I3: a job that vanished with Redis is made anew, and the call that may have been under way is charged', async () => {
  const { run, attempts, added, ended, held } = harness()
  void run()
  await vi.advanceTimersByTimeAsync(500)
  attempts.clear()
  await vi.advanceTimersByTimeAsync(1_000)
  expect([added, held, attempts.get('first~big')]).toEqual([['first', 'first'], [2], { state: 'open' }])
  const cut = JSON.stringify({ ...JSON.parse(end), failure: { reason: 'cut_off', message: '' } })
  const calls = { calls: '2', 'start:1': '1', 'end:1': cut, 'start:2': '2', 'end:2': end }
  attempts.set('first~big', { state: 'ended', ...calls, last: '2' })
  await vi.advanceTimersByTimeAsync(1_000)
  // The calls that the new Redis counts from one are told apart from it.
  expect(ended).toMatchObject({ kind: 'answered', earlier: [1, 2], callNo: 3 })
})

test('I3: it is not made anew where the budget bears no other call', async () => {
  const { run, attempts, added, ended, held } = harness()
  void run()
  await vi.advanceTimersByTimeAsync(500)
  held.push(0)
  attempts.clear()
  await vi.advanceTimersByTimeAsync(1_000)
  expect([added, ended.kind, ended.earlier]).toEqual([['first'], 'failed', [1]])
})
