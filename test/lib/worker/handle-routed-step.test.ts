import { describe, expect, test } from 'vitest'
import { createOrdersInForce } from '#lib/control/orders-in-force'
import type { Attempt, RoutedStep } from '#lib/events/types.generated'
import { createStandIn } from '#lib/models/stand-in'
import { compilePolicy } from '#lib/policy/compile-policy'
import { policySchema } from '#lib/policy/schema'
import type { CallEnd } from '#lib/worker/call-end'
import { isSealed } from '#lib/erasure/sealed-text'
import { openText, sealPublished } from '#lib/erasure/step-texts'
import { sha256 } from '#lib/audit/records'
import { createVerifier } from '#lib/verification/verifier'
import { createHandleRouted, type RoutedStepDeps } from '#lib/worker/handle-routed-step'
import { makeOrder } from '../control/make-order.ts'
import { memoryKeys } from '../../support/memory-keys.ts'
import { codec, makeStep, nowMs, recordOf } from '../../services/classifier/rig.ts'

const model = (id: string, tier: 'oss' | 'frontier') => ({
  id,
  tier,
  contextTokens: 4_096,
  maxOutputTokens: 64,
  price: { inputMicroUsdPerMTok: 1, outputMicroUsdPerMTok: 1 },
})
const policy = (change: object = {}) =>
  compilePolicy(
    policySchema.parse({
      version: 1,
      models: [model('open', 'oss'), model('other', 'oss')],
      backends: [
        { id: 'b', model: 'open', baseUrl: 'http://b/v1', region: 'eu' },
        { id: 'c', model: 'other', baseUrl: 'http://c/v1', region: 'eu' },
      ],
      tenants: [{ id: 'acme-claims' }],
      ...change,
    }),
  )

const routed: RoutedStep = {
  step: makeStep(),
  origin: { topic: 'agent.steps', partition: 0, offset: 7, receivedAtMs: nowMs },
  decision: {
    attempt: 1,
    tier: 'oss',
    model: 'open',
    reasons: [],
    pSuccessPpm: 0,
    thresholdPpm: 0,
    gainPpm: null,
    thresholdOn: 'p_success',
    policyHash: 'h',
    scorerHash: null,
    engineVersion: 1,
    maxOutputTokens: 8,
    boundMicroUsd: 0,
    decidedAtMs: nowMs,
    reservedAtMs: 0,
  },
  attempts: [],
}

function harness(
  inForce = policy(),
  more: Partial<Pick<RoutedStepDeps, 'keys' | 'recall' | 'withdraw' | 'callModel' | 'nowMs'>> = {},
  given: RoutedStep = routed,
) {
  const concluded: unknown[] = []
  const orders = createOrdersInForce({ nowMs: () => nowMs, log: { info() {}, error() {} } })
  let calls = 0
  const handle = createHandleRouted({
    codec,
    namespace: '',
    keys: null,
    resultsTopic: () => 'agent.results',
    nowMs: () => nowMs,
    metrics: { attempted() {}, ended() {} },
    orders,
    stepLog: {
      concluded: ({ stepId, taskId }, attempt, status) =>
        void concluded.push({ stepId, taskId, verdict: attempt?.verdict, status }),
    },
    policies: {
      inForce: () => ({ hash: 'n', policy: inForce }),
      byHash: () => ({ hash: 'h', policy: policy() }),
    },
    verifier: createVerifier({ check: () => Promise.resolve({ kind: 'fits' }) }),
    async callModel(job, signal): Promise<CallEnd> {
      calls++
      const call = { model: 'open', maxOutputTokens: 8, signal }
      const answer = await createStandIn().complete(job.request, call)
      const made = { callNo: 1, backend: 'b', region: 'eu', startedAtMs: nowMs, endedAtMs: nowMs, earlier: [] }
      return { ...made, kind: 'answered', answer }
    },
    ...more,
  })
  const record = recordOf(codec.encode('routed-step', given), { topic: 'agent.steps.oss' })
  const handled = () => handle(record, new AbortController().signal)
  const run = async () => (await handled()).records
  return { run, handled, orders, record, concluded, calls: () => calls }
}

test('an answer that passes is the result; the step is named for the log', async () => {
  const { run, record, concluded } = harness()
  expect(await run()).toMatchObject([{ topic: 'agent.results', key: 't-1' }])
  const ids = { stepId: 's-1', taskId: 't-1' }
  expect(record.ids).toEqual({ tenantId: 'acme-claims', ...ids })
  expect(concluded).toEqual([{ ...ids, verdict: 'ok', status: 'completed' }])
})

const others = [{ id: 'c', model: 'other', baseUrl: 'http://c/v1', region: 'eu' }]
const provider = { id: 'b', api: 'stand_in', models: ['open'], region: 'eu' }

test.each([
  ['was removed from the policy', { models: [model('other', 'oss')], backends: others }],
  [
    'is in the other tier now',
    { models: [model('open', 'frontier'), model('other', 'oss')], backends: others, providers: [provider] },
  ],
])('I1: a step in flight whose model %s is decided again, uncalled', async (_what, change) => {
  const { run, concluded, calls } = harness(policy(change))
  const [record] = await run()
  expect(record?.topic).toBe('agent.steps.reroute')
  const { attempts } = await codec.decode('routed-step', record!.value)
  expect(attempts).toMatchObject([
    { model: 'open', verdict: 'backend_unavailable', detail: 'not_in_policy', callNo: 0 },
  ])
  expect(concluded).toMatchObject([{ stepId: 's-1', status: null }])
  expect(calls()).toBe(0)
})

describe("an operator's order", () => {
  const cancel = makeOrder('cancel/task/acme-claims/t-1', { atMs: nowMs })
  const made = { callNo: 1, backend: 'b', region: 'eu', startedAtMs: nowMs, endedAtMs: nowMs }

  const resultOf = async ([record]: { topic: string; value: Buffer | null }[]) => {
    expect(record!.topic).toBe('agent.results')
    return codec.decode('step-result', record!.value)
  }

  test.each(['pause/model/open', 'pause/tenant/acme-claims'])('holds a step before its call: %s', async (name) => {
    const { run, orders, calls, concluded } = harness()
    orders.take(makeOrder(name))
    await expect(run()).rejects.toMatchObject({ code: 'SHUNT_PAUSED', retryable: true })
    expect([calls(), concluded]).toEqual([0, []])
    orders.take(makeOrder(name, { value: '{"paused":false}' }))
    expect(await resultOf(await run())).toMatchObject({ status: 'completed' })
  })

  test.each(['pause/frontier', 'pause/model/other', 'pause/tenant/globex'])('holds no other step: %s', async (name) => {
    const { run, orders } = harness()
    orders.take(makeOrder(name))
    expect(await resultOf(await run())).toMatchObject({ status: 'completed' })
  })

  test('ends a cancelled step without a call, paused or not', async () => {
    const { run, orders, calls, concluded } = harness()
    orders.take(makeOrder('pause/model/open'))
    orders.take(cancel)
    expect(await resultOf(await run())).toMatchObject({ status: 'cancelled', code: 'SHUNT_CANCELLED', attempts: [] })
    expect([calls(), concluded]).toMatchObject([0, [{ status: 'cancelled' }]])
  })

  test('lets an answer win that is already there', async () => {
    const answer = await createStandIn().complete(
      { messages: [{ role: 'user', content: 'x' }] },
      { model: 'open', maxOutputTokens: 8, signal: new AbortController().signal },
    )
    const recall = () => Promise.resolve({ ...made, earlier: [], kind: 'answered' as const, answer })
    const { run, orders } = harness(policy(), { recall })
    orders.take(cancel)
    expect(await resultOf(await run())).toMatchObject({ status: 'completed' })
  })

  test('I3: a cancelled step is charged for the calls of it whose answers were lost', async () => {
    const earlier = [{ ...made, ...unknown, detail: 'timeout: ' }]
    const asked: string[] = []
    const withdraw = (_job: unknown, why: string) => {
      asked.push(why)
      return Promise.resolve({
        ...made,
        callNo: 0,
        earlier,
        kind: 'cancelled' as const,
        outcomeUnknown: false as const,
      })
    }
    const { run, orders } = harness(policy(), { withdraw })
    orders.take(cancel)
    const { status, attempts } = await resultOf(await run())
    expect([status, asked]).toEqual(['cancelled', ['cancelled']])
    expect(attempts).toMatchObject([{ callNo: 0, verdict: 'cancelled', outcomeUnknown: true }])
  })

  test('to pause lets a step expire at its deadline, after what was queued is withdrawn', async () => {
    const asked: string[] = []
    const withdraw = (_job: unknown, why: string) => {
      asked.push(why)
      return Promise.resolve(null)
    }
    const { run, orders } = harness(policy(), { withdraw, nowMs: () => nowMs + 1e9 })
    orders.take(makeOrder('pause/model/open'))
    expect(await resultOf(await run())).toMatchObject({ status: 'expired' })
    expect(asked).toEqual(['deadline'])
  })
})

/** What a call whose answer was lost is told as. */
const unknown = { verdict: 'backend_unavailable' as const, outcomeUnknown: true }

test.each([
  ['where another call followed, one call stays held', 2, [false, true]],
  ['where none did, it gives back what is held', 0, [true, true]],
])('I3: of a call that was lost, %s', async (_what, callNo, ends) => {
  const at = { backend: 'b', region: 'eu', startedAtMs: nowMs, endedAtMs: nowMs }
  const made = { ...at, callNo, earlier: [{ ...at, ...unknown, callNo: 1, detail: 'lost' }] }
  const end: CallEnd = { ...made, kind: 'failed', verdict: 'backend_unavailable', detail: 'x', outcomeUnknown: false }
  const { handled } = harness(undefined, { callModel: () => Promise.resolve(end) })
  const { audit = [] } = await handled()
  const records = await Promise.all(audit.map(({ body }) => codec.decode('attempt-record', body)))
  expect(records.map((record) => record.ends)).toEqual(ends)
})

test('a call that was turned away is in the audit with where it went, costs nothing, and gives back no bound', async () => {
  const at = { startedAtMs: nowMs, endedAtMs: nowMs }
  const away = { verdict: 'backend_overloaded' as const, detail: 'overloaded: HTTP 503', outcomeUnknown: false }
  const earlier = [
    { ...at, ...away, callNo: 1, backend: 'busy', region: 'us' },
    { ...at, ...unknown, callNo: 2, backend: 'cut', region: 'eu', detail: 'cut_off: ' },
  ]
  const paid = { ...routed.decision, boundMicroUsd: 700, reservedAtMs: nowMs }
  const callModel: RoutedStepDeps['callModel'] = async ({ request }, signal) => {
    const answer = await createStandIn().complete(request, { model: 'open', maxOutputTokens: 8, signal })
    return { ...at, callNo: 3, backend: 'b', region: 'eu', earlier, kind: 'answered', answer }
  }
  const { handled } = harness(undefined, { callModel }, { ...routed, decision: paid })
  const { records, audit = [] } = await handled()
  const calls = audit.filter(({ type }) => type === 'attempt')
  const told = await Promise.all(calls.map(({ body }) => codec.decode('attempt-record', body)))
  expect(told).toMatchObject([
    { ends: false, boundMicroUsd: 0, attempt: { callNo: 1, backend: 'busy', region: 'us', ...away, costMicroUsd: 0 } },
    {
      ends: false,
      boundMicroUsd: 700,
      attempt: { callNo: 2, backend: 'cut', costMicroUsd: 700, outcomeUnknown: true },
    },
    { ends: true, boundMicroUsd: 700, attempt: { callNo: 3, backend: 'b', verdict: 'ok' } },
  ])
  const result = await codec.decode('step-result', records[0]!.value)
  expect(result.attempts).toMatchObject([{ callNo: 3, costMicroUsd: 700, outcomeUnknown: true }])
})

describe('a sealed step', () => {
  const made = { callNo: 1, backend: 'b', region: 'eu', startedAtMs: nowMs, endedAtMs: nowMs, earlier: [] }
  const place = { tenantId: 'acme-claims', stepId: 's-1', field: 'answer' } as const

  async function sealed(more: Parameters<typeof harness>[1] = {}) {
    const keys = await memoryKeys('acme-claims')
    const given = { ...routed, step: await sealPublished(keys, routed.step) }
    return { keys, ...harness(policy(), { keys, ...more }, given) }
  }

  const answering = (content: string, finish_reason = 'stop'): RoutedStepDeps['callModel'] =>
    async function answer(job, signal): Promise<CallEnd> {
      const answer = await createStandIn().complete(job.request, { model: 'open', maxOutputTokens: 8, signal })
      const [choice] = answer.completion.choices
      const completion = { ...answer.completion, choices: [{ ...choice!, finish_reason, message: { content } }] }
      return { ...made, kind: 'answered', answer: { ...answer, completion: completion as never } }
    }

  test('is answered on its text; result and audit hold the sealed answer, and its hash', async () => {
    const { handled, keys } = await sealed()
    const { records, audit } = await handled()
    const { status, answer } = await codec.decode('step-result', records[0]!.value)
    expect(status).toBe('completed')
    expect(isSealed(answer!)).toBe(true)
    expect(JSON.parse(await openText(keys, place, answer!))).toMatchObject({ object: 'chat.completion' })
    const attempt = await codec.decode('attempt-record', audit![0]!.body)
    expect(attempt.answerHash).toEqual(sha256(answer!))
  })

  test('goes back with its weak answer sealed, cut where it is long', async () => {
    const { handled, keys } = await sealed({ callModel: answering('marker '.repeat(20_000), 'length') })
    const { records, audit } = await handled()
    expect(records[0]!.topic).toBe('agent.steps.reroute')
    expect(records[0]!.value!.includes('marker')).toBe(false)
    const { attempts } = await codec.decode('routed-step', records[0]!.value)
    const [{ answer, answerTruncated, verdict, detail }] = attempts as [Attempt]
    // A detail can quote a schema.
    expect([verdict, detail, answerTruncated]).toEqual(['truncated', null, true])
    expect(await openText(keys, place, answer!)).toContain('marker marker')
    expect((await codec.decode('attempt-record', audit![0]!.body)).answerHash).toEqual(sha256(answer!))
  })

  test('whose key is deleted during its call ends without an answer, its attempt told', async () => {
    const { handled, keys } = await sealed({
      callModel: async (job, signal) => {
        const end = await answering('yes')(job, signal)
        keys.erase('acme-claims')
        return end
      },
    })
    const { records, audit } = await handled()
    expect(await codec.decode('step-result', records[0]!.value)).toMatchObject({
      status: 'failed',
      code: 'SHUNT_TEXT_ERASED',
      answer: null,
      attempts: [{ verdict: 'ok', answer: null }],
    })
    expect((await codec.decode('attempt-record', audit![0]!.body)).answerHash).toBeNull()
  })

  test('whose key was deleted before is not called: it is thrown, after what was queued is withdrawn', async () => {
    const asked: string[] = []
    const withdraw = (_job: unknown, why: string) => {
      asked.push(why)
      return Promise.resolve(null)
    }
    const { handled, keys, calls } = await sealed({ withdraw })
    keys.erase('acme-claims')
    await expect(handled()).rejects.toMatchObject({ code: 'SHUNT_TEXT_ERASED', retryable: false })
    expect([asked, calls()]).toEqual([['text_erased'], 0])
  })

  test('whose key is another one now is not called either, and what was queued is withdrawn', async () => {
    const asked: string[] = []
    const withdraw = (_job: unknown, why: string) => {
      asked.push(why)
      return Promise.resolve(null)
    }
    const { handled, calls } = await sealed({ withdraw, keys: await memoryKeys('acme-claims') })
    await expect(handled()).rejects.toMatchObject({ code: 'SHUNT_TEXT_UNREADABLE', retryable: false })
    expect([asked, calls()]).toEqual([['text_erased'], 0])
  })

  test('I3: whose key was deleted after a call is charged for it, and decided again without its answer', async () => {
    const answer = await createStandIn().complete(
      { messages: [{ role: 'user', content: 'x' }] },
      { model: 'open', maxOutputTokens: 8, signal: new AbortController().signal },
    )
    const { handled, keys } = await sealed({ recall: () => Promise.resolve({ ...made, kind: 'answered', answer }) })
    keys.erase('acme-claims')
    const { records, audit } = await handled()
    expect(records[0]!.topic).toBe('agent.steps.reroute')
    const { attempts } = await codec.decode('routed-step', records[0]!.value)
    expect(attempts).toMatchObject([{ verdict: 'backend_unavailable', outcomeUnknown: true, answer: null }])
    expect((await codec.decode('attempt-record', audit![0]!.body)).answerHash).toBeNull()
  })
})
