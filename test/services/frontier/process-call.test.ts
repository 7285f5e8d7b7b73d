import { circuitBreaker, ConsecutiveBreaker, handleAll } from 'cockatiel'
import { expect, test } from 'vitest'
import { isSealed } from '#lib/erasure/sealed-text'
import { openText, sealText, type Keys } from '#lib/erasure/step-texts'
import type { Standing } from '#lib/control/standing'
import type { StoredAnswers, StoredCall } from '#lib/ledger/stored-answers'
import type { ChatAnswer } from '#lib/models/chat-model'
import { ModelCallError } from '#lib/models/model-call-error'
import { createStandIn } from '#lib/models/stand-in'
import { compilePolicy } from '#lib/policy/compile-policy'
import { policySchema } from '#lib/policy/schema'
import type { ModelJob } from '#lib/worker/call-end'
import { storedRequestOf, type StoredRequest } from '../../../services/frontier/lane-job.ts'
import { createAccountPause } from '../../../services/frontier/account-pause.ts'
import { processCall, type ProcessCallDeps } from '../../../services/frontier/process-call.ts'
import { memoryKeys } from '../../support/memory-keys.ts'

const policy = (change: object = {}) =>
  compilePolicy(
    policySchema.parse({
      version: 1,
      models: [
        {
          id: 'big',
          tier: 'frontier',
          contextTokens: 4_096,
          maxOutputTokens: 64,
          price: { inputMicroUsdPerMTok: 1, outputMicroUsdPerMTok: 1 },
        },
      ],
      backends: [{ id: 'b', model: 'open', baseUrl: 'http://b/v1', region: 'eu' }],
      providers: [{ id: 'p', api: 'openai', models: ['big'], region: 'eu' }],
      tenants: [{ id: 'acme' }],
      ...change,
    }),
  )

const stored: StoredRequest = {
  request: { messages: [{ role: 'user', content: 'x' }] },
  constraints: { allowedRegions: null, requiredTags: [], frontierAllowed: true, critical: [] },
  tenantId: 'acme',
  stepId: 'x',
  model: 'big',
  policyHash: 'h',
  maxOutputTokens: 8,
  taskId: 't',
  batchId: null,
  publishedAtMs: 1,
  promptTokensBound: 20,
  held: { tenantId: 'acme', taskId: 't', origin: 's/0/1', attempt: 1, boundMicroUsd: 9, reservedAtMs: 1 },
  vanishedCalls: 0,
  deadlineAtMs: 100_000,
}
const ref = { queue: 'p~big', jobId: 'a1' }

function harness(
  outcomes: (ModelCallError | 'answer')[],
  change: {
    nowMs?: number
    inForce?: object
    begin?: null
    openBreakerAfter?: number
    deadlineAtMs?: null
    is?: Standing['is']
    /** Calls of the attempt so far. */
    calls?: StoredCall[]
    held?: false
    /** Of the gate, in place of an admission. */
    enter?: () => Promise<null>
    late?: boolean
    answer?: Partial<ChatAnswer>
    /** In place of the plain one. */
    request?: string
    keys?: Keys
  } = {},
) {
  const log: unknown[] = []
  const answered: unknown[] = []
  const sent: unknown[] = []
  const held: number[] = []
  let calls = 0
  let counted = 0
  const answers: Pick<StoredAnswers, 'request' | 'read' | 'begin' | 'end' | 'close'> = {
    read: () => Promise.resolve({ ended: false, last: 0, closed: undefined, calls: change.calls ?? [] }),
    request: () =>
      Promise.resolve({
        ...stored,
        ...('deadlineAtMs' in change && { deadlineAtMs: null }),
        ...(change.request !== undefined && { request: change.request }),
      }),
    begin: (_ref, _startedAtMs, maxCalls) =>
      Promise.resolve(change.begin === null ? null : { callNo: ++calls, left: maxCalls - ++counted }),
    end: (_ref, callNo, end, { answer, final, counts }) => {
      if (!counts) counted--
      log.push({ callNo, failure: end.failure?.reason, answered: answer !== null, final })
      answered.push(answer)
      return Promise.resolve()
    },
    close: (_ref, why) => {
      log.push(why)
      return Promise.resolve(true)
    },
  }
  const left: object[] = []
  const pauses: number[] = []
  const problems: string[] = []
  const gate: ProcessCallDeps['gate'] = {
    enter:
      change.enter ??
      (() =>
        Promise.resolve({
          inTime: () => change.late !== true,
          leave: (usage) => {
            left.push(usage)
            return Promise.resolve()
          },
        })),
    pause: (ms) => {
      pauses.push(ms)
      return Promise.resolve()
    },
  }
  const account = createAccountPause({ nowMs: () => change.nowMs ?? 0, onExhausted: () => {} }, { pauseMs: 60_000 })
  const standIn = createStandIn()
  let asked = 0
  const deps = {
    answers: answers as StoredAnswers,
    keys: change.keys ?? null,
    policies: {
      inForce: () => ({ hash: 'n', policy: policy(change.inForce) }),
      byHash: () => ({ hash: 'h', policy: policy() }),
    },
    chat: {
      complete: (...args: Parameters<typeof standIn.complete>) => {
        const outcome = outcomes[asked++]
        sent.push(args[0])
        if (outcome instanceof ModelCallError) return Promise.reject(outcome)
        return standIn.complete(...args).then((answer) => ({ ...answer, ...change.answer }))
      },
    },
    orders: { standing: () => ({ is: change.is ?? 'free' }) as Standing },
    breaker: circuitBreaker(handleAll, {
      halfOpenAfter: 60_000,
      breaker: new ConsecutiveBreaker(change.openBreakerAfter ?? 2),
    }),
    gate,
    account,
    holdCalls: (_attempt: unknown, calls: number) => Promise.resolve(held.push(calls) > 0 && change.held !== false),
    onUsageProblem: (problem: string) => void problems.push(problem),
    nowMs: () => change.nowMs ?? 0,
    random: () => 0.5,
  }
  const place = { id: 'p', tier: 'frontier' as const, region: 'eu', complianceTags: [] }
  const options = { place, laneClass: 'interactive' as const, modelName: 'big-1', maxCalls: 3 }
  const closing = new AbortController()
  const signals = { closing: closing.signal, cutOff: new AbortController().signal }
  const run = () => processCall(deps, options, ref, signals)
  return { run, log, answered, sent, held, left, pauses, problems, closing, asked: () => asked }
}

const busy = { endedAtMs: 2, promptTokens: 0, completionTokens: 0, standIn: false }
test.each([
  ['none before', [], []],
  [
    'one that the provider turned away',
    [{ callNo: 1, startedAtMs: 1, end: { ...busy, failure: { reason: 'rate_limited', message: '' } } }],
    [],
  ],
  ['one whose process died', [{ callNo: 1, startedAtMs: 1 }], [2]],
  [
    'two of which nothing was heard',
    [
      { callNo: 1, startedAtMs: 1 },
      { callNo: 2, startedAtMs: 2, end: { ...busy, failure: { reason: 'timeout', message: '' } } },
    ],
    [3],
  ],
] satisfies [string, StoredCall[], number[]][])(
  'I3: a call after %s holds what all that may be billed can cost',
  async (_what, calls, holds) => {
    const { run, log, held, asked } = harness(['answer'], { calls })
    expect(await run()).toEqual({ kind: 'done' })
    expect([held, asked(), log.length]).toEqual([holds, 1, 1])
  },
)

test('I3: where the budget does not bear another call beside one that may be billed, none is made', async () => {
  const { run, log, asked } = harness(['answer'], { calls: [{ callNo: 1, startedAtMs: 1 }], held: false })
  expect(await run()).toEqual({ kind: 'done' })
  expect([log, asked()]).toEqual([['budget_exhausted'], 0])
})

test('an answer is stored with its call before the job is done', async () => {
  const { run, log } = harness(['answer'])
  expect(await run()).toEqual({ kind: 'done' })
  expect(log).toEqual([{ callNo: 1, failure: undefined, answered: true, final: true }])
})

test('a step without a deadline is called, since its stored request has none either', async () => {
  const routed = { step: stored, origin: {}, decision: { policyHash: 'h' } }
  const job = {
    routed,
    model: { id: 'big', tokenMarginPpm: 1_150_000 },
    hinted: stored.request,
    deadlineAtMs: Infinity,
  } as unknown as ModelJob
  expect(storedRequestOf(job, stored.request).deadlineAtMs).toBeNull()
  expect(storedRequestOf({ ...job, deadlineAtMs: 7 }, stored.request).deadlineAtMs).toBe(7)
  const { run, log } = harness([new ModelCallError('server_error', ''), 'answer'], { deadlineAtMs: null })
  expect(await run()).toMatchObject({ kind: 'again' })
  expect(await run()).toEqual({ kind: 'done' })
  expect(log).toMatchObject([{ final: false }, { answered: true }])
})

test('an attempt that has ended gets no call', async () => {
  const { run, asked } = harness(['answer'], { begin: null })
  expect(await run()).toEqual({ kind: 'done' })
  expect(asked()).toBe(0)
})

test('a 429 pauses the queue for as long as the provider asks', async () => {
  const { run, log, pauses } = harness([new ModelCallError('rate_limited', 'HTTP 429', { retryAfterMs: 7_000 })])
  expect(await run()).toEqual({ kind: 'again', waitMs: 7_500 })
  expect(pauses).toEqual([7_500])
  expect(log).toEqual([{ callNo: 1, failure: 'rate_limited', answered: false, final: false }])
})

test('what a call has used goes back to the limits with what the provider says is left', async () => {
  const answered = harness(['answer'], { answer: { promptTokens: 15, completionTokens: 3, limits: { requests: 4 } } })
  await answered.run()
  expect(answered.left).toEqual([{ used: { inputTokens: 15, outputTokens: 3 }, report: { requests: 4 } }])
  const failed = harness([new ModelCallError('timeout', '')])
  await failed.run()
  expect(failed.left).toMatchObject([{ used: 'unknown' }])
  const unsent = harness([new ModelCallError('unreachable', '')])
  await unsent.run()
  expect(unsent.left).toMatchObject([{ used: 'not_sent' }])
  const gone = harness(['answer'], { begin: null })
  await gone.run()
  expect(gone.left).toMatchObject([{ used: 'not_sent' }])
})

test('a usage that cannot be is told, and leaves the bound reserved', async () => {
  const { run, left, problems, log } = harness(['answer'], { answer: { usageProblem: 'not_a_count' } })
  expect(await run()).toEqual({ kind: 'done' })
  expect(problems).toEqual(['not_a_count'])
  expect(left).toMatchObject([{ used: 'unknown' }])
  expect(log).toMatchObject([{ answered: true, final: true }])
})

test('I5: a request that would arrive after its reservation has ended is not sent', async () => {
  const { run, left, pauses, asked, log } = harness(['answer'], { late: true })
  expect(await run()).toMatchObject({ kind: 'again' })
  expect(asked()).toBe(0)
  expect(left).toMatchObject([{ used: 'not_sent' }])
  expect(pauses).toEqual([])
  expect(log).toMatchObject([{ final: false }])
})

test('a call that no window of the provider bears is not made', async () => {
  const { run, log, asked } = harness(['answer'], { enter: () => Promise.resolve(null) })
  expect(await run()).toEqual({ kind: 'done' })
  expect(asked()).toBe(0)
  expect(log).toEqual(['limit_too_small'])
})

test('a job that waits while the process ends is put back, untouched', async () => {
  const { run, log, closing } = harness(['answer'], { enter: () => Promise.reject(new Error('aborted')) })
  closing.abort()
  expect(await run()).toEqual({ kind: 'put_back' })
  expect(log).toEqual([])
})

test('an account without money ends the attempt, and those that follow go elsewhere without a call', async () => {
  const { run, log, asked } = harness([new ModelCallError('quota', 'HTTP 402')])
  expect(await run()).toEqual({ kind: 'done' })
  expect(await run()).toEqual({ kind: 'done' })
  expect(asked()).toBe(1)
  expect(log).toEqual([{ callNo: 1, failure: 'quota', answered: false, final: true }, 'quota_exhausted'])
})

test('what is transient is tried again after a pause, what is not ends the attempt', async () => {
  const transient = harness([new ModelCallError('server_error', 'HTTP 500')])
  expect(await transient.run()).toMatchObject({ kind: 'again' })
  const lasting = harness([new ModelCallError('bad_request', 'HTTP 400')])
  expect(await lasting.run()).toEqual({ kind: 'done' })
  expect(lasting.log).toEqual([{ callNo: 1, failure: 'bad_request', answered: false, final: true }])
})

test('the last call ends the attempt; one that the provider turned away does not count', async () => {
  const failures = ['rate_limited', 'rate_limited', 'server_error', 'server_error', 'server_error'] as const
  const { run, log } = harness(
    failures.map((reason) => new ModelCallError(reason, '')),
    { openBreakerAfter: 9 },
  )
  for (const kind of ['again', 'again', 'again', 'again', 'done']) expect(await run()).toMatchObject({ kind })
  expect(log.map((each) => (each as { final: boolean }).final)).toEqual([false, false, false, false, true])
})

test('a pause that would pass the deadline ends the attempt at once', async () => {
  const { run, log } = harness([new ModelCallError('rate_limited', '', { retryAfterMs: 200_000 })])
  expect(await run()).toEqual({ kind: 'done' })
  expect(log).toMatchObject([{ final: true }])
})

test('a call that was cut off by the end of the process is left without an end', async () => {
  const { run, log } = harness([new ModelCallError('cancelled', '')])
  await expect(run()).rejects.toThrow(ModelCallError)
  expect(log).toEqual([])
})

test('an open breaker ends the attempt without a call', async () => {
  const { run, log, asked } = harness([1, 2].map(() => new ModelCallError('server_error', '')))
  await run()
  await run()
  expect(await run()).toEqual({ kind: 'done' })
  expect(asked()).toBe(2)
  expect(log.at(-1)).toBe('breaker_open')
})

test.each([
  ['the policy in force is air-gapped', { inForce: { airGapped: true } }, 'constraint_violated'],
  [
    "the tenant's floor moved",
    { inForce: { tenants: [{ id: 'acme', allowedRegions: ['us'] }] } },
    'constraint_violated',
  ],
  ['the provider is gone', { inForce: { providers: [] } }, 'constraint_violated'],
  ['the deadline has passed', { nowMs: 100_000 }, 'deadline'],
] as const)('I2: no call where %s by the time that the job has its turn', async (_what, change, why) => {
  const { run, log, asked } = harness(['answer'], change)
  expect(await run()).toEqual({ kind: 'done' })
  expect(asked()).toBe(0)
  expect(log).toEqual([why])
})

test('a step that is paused while it waits in the queue is not called and comes again soon, one that is cancelled ends', async () => {
  const paused = harness(['answer'], { is: 'paused' })
  expect(await paused.run()).toEqual({ kind: 'again', waitMs: 2_000 })
  expect([paused.asked(), paused.log]).toEqual([0, []])
  const cancelled = harness(['answer'], { is: 'cancelled' })
  expect(await cancelled.run()).toEqual({ kind: 'done' })
  expect([cancelled.asked(), cancelled.log]).toEqual([0, ['cancelled']])
})

const at = (field: 'call_request' | 'call_answer') => ({ tenantId: 'acme', stepId: 'x', field })

test('a sealed request is sent as it was written, and its answer is stored sealed', async () => {
  const keys = await memoryKeys('acme')
  const request = await sealText(keys, at('call_request'), JSON.stringify(stored.request))
  const { run, sent, answered } = harness(['answer'], { keys, request })
  expect(await run()).toEqual({ kind: 'done' })
  expect(sent).toEqual([stored.request])
  const [answer] = answered as [string]
  expect(isSealed(answer)).toBe(true)
  expect(JSON.parse(await openText(keys, at('call_answer'), answer))).toMatchObject({ object: 'chat.completion' })
})

test('a request that was erased while it waited is not sent', async () => {
  const keys = await memoryKeys('acme')
  const request = await sealText(keys, at('call_request'), JSON.stringify(stored.request))
  keys.erase('acme')
  const { run, log, left, asked } = harness(['answer'], { keys, request })
  expect(await run()).toEqual({ kind: 'done' })
  expect([log, left, asked()]).toEqual([['text_erased'], [{ used: 'not_sent' }], 0])
})

test('an answer that came after its key was deleted is not kept; what it used is', async () => {
  const keys = await memoryKeys('acme')
  const request = await sealText(keys, at('call_request'), JSON.stringify(stored.request))
  const { run, log, left } = harness(['answer'], {
    keys: { ...keys, newest: () => Promise.resolve(undefined) },
    request,
  })
  expect(await run()).toEqual({ kind: 'done' })
  expect(log).toEqual([{ callNo: 1, failure: undefined, answered: false, final: true }])
  expect(left).toMatchObject([{ used: { outputTokens: expect.any(Number) as number } }])
})
