import { beforeAll, describe, expect, test } from 'vitest'
import { completeStep } from '#lib/client/step-input'
import type { DeadLetter } from '#lib/dead-letters/dead-letter'
import { planRequeue, settlePlan, type PlanDeps, type RequeuePlan } from '#lib/dead-letters/plan-requeue'
import { requeuedStepOf, requeueOrderName, requeueOrderValue } from '#lib/dead-letters/requeue-orders'
import type { Codec } from '#lib/events/codec'
import { parsePolicy } from '#lib/policy/load'
import { readFileSync } from 'node:fs'
import { localCodec } from '../../support/local-codec.ts'

const policy = parsePolicy(
  readFileSync(new URL('../../../samples/policy.yaml', import.meta.url), 'utf8'),
  'sample',
  'a'.repeat(64),
).policy
const tenantId = policy.tenants[0]!.id
const step = completeStep({
  stepId: 's-1',
  taskId: 't-1',
  tenantId,
  request: { messages: [{ role: 'user', content: 'secret words' }] },
})

let codec: Codec
beforeAll(async () => void (codec = await localCodec()))

function letter(topic: string, value: Buffer | null): DeadLetter {
  return {
    place: { topic: 'agent.deadletter', partition: 0, offset: 9 },
    parts: 1,
    origin: { topic, partition: 1, offset: 41, timestampMs: 0 },
    code: 'SHUNT_TENANT_UNKNOWN',
    message: '',
    atMs: 0,
    key: null,
    value,
    headers: {},
    droppedHeaders: [],
  }
}

function planOf(of: DeadLetter, over: Partial<PlanDeps> & { holder?: string } = {}): Promise<RequeuePlan> {
  const { holder = null, ...deps } = over
  const claims = { holder: () => Promise.resolve(holder) }
  return planRequeue({ codec, namespace: '', keys: null, claims, policy, orders: new Map(), ...deps }, of)
}

const ofStep = (over: object = {}) => letter('agent.steps.batch', Buffer.from(JSON.stringify({ ...step, ...over })))
const routed = (topic: string) => {
  const origin = { topic: 'agent.steps', partition: 1, offset: 2, receivedAtMs: 3 }
  const decision = {
    attempt: 1,
    tier: 'oss' as const,
    model: 'm',
    reasons: [],
    pSuccessPpm: 0,
    thresholdPpm: 0,
    policyHash: '',
    scorerHash: null,
    engineVersion: 2,
    maxOutputTokens: 1,
    boundMicroUsd: 0,
    decidedAtMs: 0,
    reservedAtMs: 0,
    gainPpm: null,
    thresholdOn: 'gain' as const,
  }
  return letter(topic, codec.encode('routed-step', { step, origin, decision, attempts: [] }))
}

describe('a record of agent.steps', () => {
  test('goes back to where it was, once it is valid and nobody holds its stepId', async () => {
    expect(await planOf(ofStep())).toMatchObject({
      action: 'requeue',
      topic: 'agent.steps.batch',
      endedWith: 'agent.steps.batch/1/41',
    })
    expect(await planOf(ofStep(), { policy: undefined })).toMatchObject({
      because: expect.stringContaining('once a policy'),
    })
  })

  test('stays while its cause is not mended, and the reason quotes nothing of it', async () => {
    const unknown = await planOf(ofStep({ tenantId: 'nobody' }))
    expect(unknown).toMatchObject({ action: 'leave', because: expect.stringContaining('SHUNT_TENANT_UNKNOWN') })
    const broken = await planOf(letter('agent.steps', Buffer.from('{"stepId": "secret')))
    expect(broken).toMatchObject({ action: 'leave', because: expect.stringContaining('SHUNT_EVENT_INVALID') })
    expect(broken.because).not.toContain('secret')
    expect(await planOf(letter('agent.steps', null))).toMatchObject({ action: 'leave' })
  })

  test('stays where it, or another record, was accepted under its stepId', async () => {
    expect(await planOf(ofStep(), { holder: 'agent.steps.batch/1/41' })).toMatchObject({
      because: expect.stringContaining('publish it under a new stepId'),
    })
    expect(await planOf(ofStep(), { holder: 'agent.steps/0/7' })).toMatchObject({
      because: expect.stringContaining('would be a duplicate of it, without a result'),
    })
  })

  test('stays where its step ended with a claim that is over by now; a rejected one claimed nothing', async () => {
    const plan = await planOf(ofStep())
    expect(settlePlan(plan, 'failed')).toMatchObject({ action: 'leave', because: expect.stringContaining('failed') })
    expect(settlePlan(plan, 'rejected')).toBe(plan)
    expect(settlePlan(plan, undefined)).toBe(plan)
  })

  test('is requeued once', async () => {
    const order = { name: '', orderId: '', actor: 'ann', reason: '', atMs: 0, value: '' }
    const orders = new Map([[requeueOrderName(ofStep()), order]])
    expect(await planOf(ofStep(), { orders })).toMatchObject({ because: expect.stringContaining('by ann') })
  })
})

test.each(['agent.steps.oss', 'agent.steps.frontier.batch', 'agent.steps.reroute'])(
  'a routed step of %s is decided anew, unless it has a result',
  async (topic) => {
    const plan = await planOf(routed(topic))
    expect(plan).toMatchObject({ action: 'requeue', topic: 'agent.steps.reroute', endedWith: 'agent.steps/1/2' })
    const origin = { topic: 'agent.steps', partition: 1, offset: 2, receivedAtMs: 3 }
    const decidedAgain = { tenantId, stepId: step.stepId, origin }
    expect(plan).toMatchObject({ decidedAgain })
    const of = routed(topic)
    const value = requeueOrderValue(of, topic, decidedAgain)
    expect(requeuedStepOf({ name: requeueOrderName(of), value })).toEqual(decidedAgain)
    for (const none of ['', '{}', '{"step":{"tenantId":1}}', requeueOrderValue(of, topic, null)])
      expect(requeuedStepOf({ name: requeueOrderName(of), value: none })).toBeNull()
    expect(settlePlan(plan, 'failed')).toMatchObject({ action: 'leave' })
  },
)

test('feedback goes back once it is a verdict', async () => {
  const feedback = { stepId: 's', taskId: 't', tenantId, verdict: 'right', atMs: 1_767_309_000_000 }
  const of = (value: object) => letter('agent.feedback', Buffer.from(JSON.stringify(value)))
  expect(await planOf(of(feedback))).toMatchObject({ action: 'requeue', topic: 'agent.feedback', endedWith: null })
  expect(await planOf(of({ ...feedback, verdict: 'unknown' }))).toMatchObject({ action: 'leave' })
})

test.each([
  ['agent.audit', 'only the services may write agent.audit'],
  ['agent.results', 'only the services may write'],
  ['agent.control', 'give the order again'],
  ['other.agent.steps', 'no topic of this namespace'],
])('a record of %s stays', async (topic, because) => {
  expect(await planOf(letter(topic, Buffer.from('x')))).toMatchObject({
    action: 'leave',
    because: expect.stringContaining(because),
  })
})
