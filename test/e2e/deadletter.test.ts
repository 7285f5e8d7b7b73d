import { randomBytes } from 'node:crypto'
import type { Message } from 'kafkajs'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, onTestFailed, test, vi } from 'vitest'
import { completeStep } from '#lib/client/step-input'
import { requeuedStepOf } from '#lib/dead-letters/requeue-orders'
import { ShuntError } from '#lib/errors'
import type { Topic } from '#lib/events/topics'
import type { ControlOrder, RoutedStep } from '#lib/events/types.generated'
import { deadLetters } from '#lib/stream/dead-letter'
import { startPipeline, type Pipeline } from '../support/pipeline.ts'
import { makeStep, tenantId } from '../support/pipeline-steps.ts'
import { runShunt } from '../support/run-shunt.ts'

vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 })

let pipeline: Pipeline
let policyHash: string
let failed = false
beforeAll(async () => {
  pipeline = await startPipeline({ stack: inject('stack'), partitions: 2 })
  policyHash = await pipeline.activatePolicy({})
})
beforeEach(() => onTestFailed(() => void (failed = true)))
afterAll(() => pipeline?.stopAll({ failed }))

const shunt = (...args: string[]) => runShunt({ ...pipeline.env, SHUNT_ACTOR: 'ann' }, ['deadletter', ...args])

interface ListedLetter {
  id: string
  code: string
  origin: { topic: string; partition: number; offset: number }
  bytes: number
  requeuedAtMs: number | null
}

async function list(...args: string[]): Promise<ListedLetter[]> {
  const { code, stdout } = await shunt('list', '--json', ...args)
  expect(code).toBe(0)
  return stdout.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as ListedLetter]))
}

interface Report {
  done: boolean
  letters: { id: string; record: string; action: string; because: string; requeuedTo: string | null }[]
}

async function requeue(...args: string[]): Promise<Report> {
  const ended = await shunt('requeue', '--reason', 'a test', '--json', ...args)
  expect(ended, ended.stderr).toMatchObject({ code: 0 })
  return JSON.parse(ended.stdout) as Report
}

async function send(topic: Topic, ...messages: Message[]): Promise<void> {
  const producer = pipeline.kafka.producer()
  await producer.connect()
  for (const message of messages) await producer.send({ topic: pipeline.topic(topic), messages: [message] })
  await producer.disconnect()
}

function routed(stepId: string, model: string, offset: number): RoutedStep {
  return {
    step: completeStep(makeStep(stepId)),
    origin: { topic: pipeline.topic('agent.steps'), partition: 0, offset, receivedAtMs: Date.now() },
    decision: {
      attempt: 1,
      tier: 'oss',
      model,
      reasons: [],
      pSuccessPpm: 0,
      thresholdPpm: 0,
      policyHash,
      scorerHash: null,
      engineVersion: 2,
      maxOutputTokens: 16,
      boundMicroUsd: 0,
      decidedAtMs: Date.now(),
      reservedAtMs: 0,
      gainPpm: null,
      thresholdOn: 'p_success',
    },
    attempts: [],
  }
}

describe('shunt deadletter', () => {
  const garbage = Buffer.concat([Buffer.from([0xff]), randomBytes(300)])
  const stranger = Buffer.from(JSON.stringify(makeStep('stranger', { tenantId: 'initech' })))

  test('lists and shows what could not be handled, with its bytes', async () => {
    await send(
      'agent.steps',
      { key: 'garbage', value: garbage },
      { key: 'own-key', value: stranger, headers: { 'content-type': 'application/json', 'x-own': 'kept' } },
    )
    await pipeline.untilResults(1)
    await pipeline.untilIdle()
    const letters = await list()
    expect(letters.map(({ code }) => code).toSorted()).toEqual(['SHUNT_EVENT_UNDECODABLE', 'SHUNT_TENANT_UNKNOWN'])
    expect(await list('--code', 'SHUNT_TENANT_UNKNOWN', '--topic', 'agent.steps')).toMatchObject([
      { bytes: stranger.length, requeuedAtMs: null },
    ])
    expect(await list('--until', '1h')).toEqual([])
    expect(await list('--limit', '1')).toHaveLength(1)
    const { stdout, stderr } = await shunt('list', '--limit', '1')
    expect(stdout).toMatch(/^letter +given up +record +bytes +requeued +code +message\n\d+\/\d+ .*SHUNT_\w+ .*\n$/)
    expect(stderr).toContain('2 dead letters, the oldest 1 not shown: --limit')

    const [undecodable, unknown] = ['SHUNT_EVENT_UNDECODABLE', 'SHUNT_TENANT_UNKNOWN'].map((code) =>
      letters.find((letter) => letter.code === code)!,
    )
    const shown = await shunt('show', unknown!.id)
    for (const text of ['x-own: kept', 'key         own-key', '"stepId": "stranger"', '"content": "step stranger '])
      expect(shown.stdout).toContain(text)
    const { topic, partition, offset } = undecodable!.origin
    const byRecord = `${topic}/${partition}/${offset}`
    expect((await shunt('show', byRecord)).stdout).toMatch(/unreadable {2}SHUNT_EVENT_UNDECODABLE.*\n\n000000 {2}ff /s)
    expect((await shunt('show', byRecord, '--raw')).bytes.equals(garbage)).toBe(true)
    expect(await shunt('show', '0/4711')).toMatchObject({ code: 1, stderr: expect.stringContaining('no dead letter') })
  })

  test('a record whose cause was mended is requeued and answered, once', async () => {
    const before = await requeue('--code', 'SHUNT_TENANT_UNKNOWN', '--yes')
    expect(before.letters).toMatchObject([{ action: 'leave', because: expect.stringContaining('is not mended') }])

    await pipeline.activatePolicy({ tenants: [{ id: tenantId }, { id: 'initech' }] })
    const planned = await requeue('--code', 'SHUNT_TENANT_UNKNOWN')
    const told = await shunt('requeue', '--code', 'SHUNT_TENANT_UNKNOWN', '--reason', 'a test')
    expect(told.stdout).toMatch(
      /is read anew and gets a result of its own\n1 record would be requeued, 0 left: .*--yes\n$/,
    )
    expect(planned).toMatchObject({ done: false, letters: [{ action: 'requeue', requeuedTo: null }] })
    const done = await requeue('--since', '1h', '--yes')
    const letters = new Map(done.letters.map((letter) => [letter.action, letter]))
    expect(done.letters).toHaveLength(2)
    expect(letters.get('leave')!.because).toContain('SHUNT_EVENT_UNDECODABLE')

    await pipeline.untilResults(2)
    await pipeline.untilIdle()
    const results = (await pipeline.collectResults()).filter(({ stepId }) => stepId === 'stranger')
    const places = results.map(({ status, origin }) => `${status} ${origin.topic}/${origin.partition}/${origin.offset}`)
    const { record, requeuedTo, id } = letters.get('requeue')!
    expect(places.toSorted()).toEqual([`completed ${requeuedTo}`, `rejected ${record}`])
    const again = pipeline
      .read('agent.steps')
      .find(({ topic, partition, offset }) => `${topic}/${partition}/${offset}` === requeuedTo)!
    expect(again).toMatchObject({
      key: 'own-key',
      headers: {
        'content-type': 'application/json',
        'x-own': 'kept',
        'x-shunt-requeued-from': `${pipeline.topic('agent.deadletter')}/${id}`,
      },
    })
    expect(Object.keys(again.headers)).toHaveLength(3)
    expect(again.value!.equals(stranger)).toBe(true)

    const orders = pipeline.read('agent.control').filter(({ key }) => key.startsWith('deadletter/'))
    expect(orders.map(({ key }) => key)).toEqual([`deadletter/requeue/${record}`])
    const order: ControlOrder = await pipeline.codec.decode('control-order', orders[0]!.value)
    expect(order).toMatchObject({ actor: 'ann', reason: 'a test' })

    expect(await requeue(id, '--yes')).toMatchObject({ letters: [{ because: expect.stringContaining('by ann') }] })
    expect((await list()).filter(({ requeuedAtMs }) => requeuedAtMs !== null)).toMatchObject([{ id }])
  })

  test('a routed step that has ended stays, one that has not is decided anew', async () => {
    await send('agent.steps.oss', {
      key: 'ended',
      value: pipeline.codec.encode('routed-step', routed('ended', 'gone', 900_001)),
    })
    await pipeline.untilResults(3)
    // As a release left it that could not read it.
    const value = pipeline.codec.encode('routed-step', routed('stuck', 'open', 900_002))
    const origin = { topic: pipeline.topic('agent.steps.frontier'), partition: 0, offset: 7, timestampMs: 0 }
    const letters = deadLetters(
      { ...origin, key: Buffer.from('stuck'), value, headers: {} },
      new ShuntError('SHUNT_EVENT_UNDECODABLE', 'a schema that is not known'),
      { topic: '', nowMs: Date.now() },
    )
    await send('agent.deadletter', ...letters.map(({ key, value, headers }) => ({ key, value, headers: headers! })))
    await pipeline.untilIdle()

    const names = (await list()).filter(({ origin }) => /oss|frontier/.test(origin.topic)).map(({ id }) => id)
    expect(names).toHaveLength(2)
    const { letters: done } = await requeue(...names, '--yes')
    expect(done.find(({ action }) => action === 'leave')!.because).toContain('has ended as failed')
    expect(done.find(({ action }) => action === 'requeue')!.requeuedTo).toContain('agent.steps.reroute')
    // The audit tells by it which step may be decided once more.
    const { value: ordered } = pipeline.read('agent.control').findLast(({ key }) => key.startsWith('deadletter/'))!
    const order: ControlOrder = await pipeline.codec.decode('control-order', ordered)
    expect(requeuedStepOf(order)).toMatchObject({ stepId: 'stuck', tenantId, origin: { offset: 900_002 } })
    await pipeline.untilResults(4)
    await pipeline.untilIdle()
    const results = (await pipeline.collectResults()).filter(({ stepId }) => stepId === 'stuck' || stepId === 'ended')
    expect(results.map(({ stepId, status }) => `${stepId} ${status}`).toSorted()).toEqual([
      'ended failed',
      'stuck completed',
    ])
  })
})
