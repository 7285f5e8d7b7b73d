import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import { mkdtempSync, rmSync } from 'node:fs'
import { pino } from 'pino'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, onTestFailed, test, vi } from 'vitest'
import { createClient } from '#lib/client/create-client'
import { inNamespace, topicNames, type Topic } from '#lib/events/topics'
import { readKafkaSecurity } from '#lib/kafka-security'
import { roles } from '#lib/stream/acls'
import { createKafkaFactory, producerConfig, type KafkaFactory } from '#lib/stream/kafka'
import { serviceNames } from '../../cli/stack/part-record.ts'
import { createRunDirectory, removeRunDirectory } from '../../cli/stack/run-directory.ts'
import { startGuardian } from '../../cli/stack/guardian.ts'
import { startPipeline, type Pipeline } from '../support/pipeline.ts'
import { makeStep, makeSteps, tenantId } from '../support/pipeline-steps.ts'
import { runShunt } from '../support/run-shunt.ts'
import { startSecuredKafka, type SecuredKafka } from '../support/secured-kafka.ts'

vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 })

const namespace = `test-${randomUUID().slice(0, 8)}`
const log = pino({ level: 'silent' })
const out = mkdtempSync(join(tmpdir(), 'shunt-acls-test-'))
const resultsTopic = 'agent.results.globex'
let dir: string
let kafka: SecuredKafka
let pipeline: Pipeline
let failed = false

/** Every service, and whoever else there is, as a user of its own who may do what `shunt topics acls` says. */
beforeAll(async () => {
  dir = await createRunDirectory('test')
  startGuardian(dir)
  kafka = await startSecuredKafka(dir, [...roles, 'globex', 'stranger', 'replayer'])
  for (const role of roles) await kafka.grant(role, namespace, role)
  await kafka.grant('publisher', namespace, 'globex', { resultsTopic })
  pipeline = await startPipeline({
    stack: { ...inject('stack'), brokers: [kafka.open] },
    namespace,
    partitions: 2,
    policy: { tenants: [{ id: tenantId }, { id: 'globex', resultsTopic }] },
    serviceEnv: Object.fromEntries(serviceNames.map((service) => [service, kafka.envOf(service)])),
  })
})
beforeEach(() => onTestFailed(() => void (failed = true)))
afterAll(async () => {
  await pipeline?.stopAll({ failed })
  await kafka?.stop()
  await removeRunDirectory(dir)
  rmSync(out, { recursive: true })
})

function as(user: string): KafkaFactory {
  const env = kafka.envOf(user)
  return createKafkaFactory({ log }, { brokers: [kafka.secured], security: readKafkaSecurity(env) })
}

const shunt = (user: string, ...args: string[]) => runShunt({ ...pipeline.env, ...kafka.envOf(user) }, args)

/** Undefined where the user may write the topic. */
async function refusal(user: string, topic: Topic): Promise<string | undefined> {
  const producer = as(user)('test').producer({ ...producerConfig(), idempotent: false, retry: { retries: 0 } })
  await producer.connect()
  try {
    await producer.send({ topic: inNamespace(namespace, topic), messages: [{ key: 'k', value: 'x' }] })
    return undefined
  } catch (error) {
    return String(error)
  } finally {
    await producer.disconnect()
  }
}

describe('with what `shunt topics acls` grants, and nothing else', () => {
  test('steps are published, decided, answered by either tier and routed again', async () => {
    const steps = makeSteps(60, 'granted')
    const client = await createClient({ kafka: as('publisher'), codec: pipeline.codec, log }, { namespace })
    const results = await Promise.all(steps.map((step) => client.ask(step, { timeoutMs: 60_000 })))
    expect(new Set(results.map(({ status }) => status))).toEqual(new Set(['completed']))
    expect(new Set(results.map(({ tier }) => tier))).toEqual(new Set(['oss', 'frontier']))
    for (const { stepId, taskId } of results) await client.feedback({ tenantId, stepId, taskId, verdict: 'right' })
    await client.close()
    await pipeline.untilIdle()
    await pipeline.expectAudit()
    for (const service of serviceNames) expect(pipeline.logOf(service, 0)).not.toMatch(/authoriz|not authorized/i)
  })

  test("a tenant's publisher gets the results of its own topic, and sees no others", async () => {
    const client = await createClient({ kafka: as('globex'), codec: pipeline.codec, log }, { namespace })
    const seen: string[] = []
    client.onResult(({ stepId }) => void seen.push(stepId))
    await pipeline.client.publish(makeStep('of-another'))
    await pipeline.untilIdle()
    const result = await client.ask(makeStep('of-globex', { tenantId: 'globex' }), { timeoutMs: 60_000 })
    expect(result).toMatchObject({ stepId: 'of-globex', status: 'completed' })
    await client.close()
    expect(seen).toEqual(['of-globex'])
    expect((await pipeline.collectResults()).map(({ stepId }) => stepId)).toContain('of-another')
  })

  test('an operator sees, orders and requeues; an administrator applies topics', async () => {
    const bad = { key: 'k', value: JSON.stringify(makeStep('stranger', { tenantId: 'initech' })) }
    const producer = as('publisher')('test').producer(producerConfig())
    await producer.connect()
    await producer.send({ topic: inNamespace(namespace, 'agent.steps'), messages: [bad] })
    await producer.disconnect()
    await pipeline.untilIdle()
    await pipeline.activatePolicy({ tenants: [{ id: tenantId }, { id: 'initech' }] })
    const requeue = ['deadletter', 'requeue', '--code', 'SHUNT_TENANT_UNKNOWN', '--reason', 'a test', '--yes', '--json']
    expect(await shunt('operator', ...requeue)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('"requeuedTo":"'),
    })
    await pipeline.untilIdle()
    expect((await pipeline.collectResults()).filter(({ stepId }) => stepId === 'stranger')).toHaveLength(2)

    const steps = join(out, 'labels.jsonl')
    for (const args of [
      ['labels', steps],
      ['deadletter', 'list'],
      ['lanes', 'list'],
      ['results', '--task', 'granted-task-0'],
      ['task', 'granted-task-0'],
      ['feedback', '--tenant', tenantId, '--task', 't', '--step', 's', '--verdict', 'right'],
    ])
      expect(await shunt('operator', ...args), args.join(' ')).toMatchObject({ code: 0 })
    const apply = ['topics', 'apply', '--partitions', '3', '--retention', 'agent.deadletter=400d', '--json']
    const applied = await shunt('administrator', ...apply)
    expect(applied, applied.stderr).toMatchObject({ code: 0, stdout: expect.stringContaining('"lost":[]') })
    const deadletter = { name: inNamespace(namespace, 'agent.deadletter'), retentionMs: 400 * 86_400_000 }
    const listed = JSON.parse((await shunt('operator', 'topics', 'list', '--json')).stdout) as unknown[]
    expect(listed).toContainEqual(expect.objectContaining(deadletter))
    expect(await shunt('administrator', 'lanes', 'recover')).toMatchObject({ code: 0 })
    for (const args of [
      ['results', '--task', 'granted-task-0'],
      ['task', 'granted-task-0'],
      ['audit', 'verify'],
      ['audit', 'export', '--out', join(out, 'export')],
      // Without the right to see how long they are kept.
      ['topics', 'list'],
    ])
      expect(await shunt('auditor', ...args), args.join(' ')).toMatchObject({ code: 0 })
  })

  test('a replay reads as an auditor does, and writes under its own prefix alone', async () => {
    await kafka.grant('auditor', namespace, 'replayer')
    await kafka.grantAll('replayer', `${namespace}.replay-`)
    const published = await shunt('replayer', 'replay', 'publish', '--id', 'acl', '--json')
    expect(published, published.stderr).toMatchObject({ code: 0 })
    expect(JSON.parse(published.stdout)).toMatchObject({ namespace: `${namespace}.replay-acl`, notRecorded: 0 })
    const removed = await shunt('replayer', 'replay', 'remove', '--id', 'acl')
    expect(removed, removed.stderr).toMatchObject({ code: 0 })
    expect(await refusal('replayer', 'agent.steps')).toMatch(/uthorized/)
  })

  test('nobody else writes what was routed, decided or ordered', async () => {
    const denied: [string, Topic][] = [
      ['publisher', 'agent.steps.oss'],
      ['publisher', 'agent.steps.frontier.batch'],
      ['publisher', 'agent.steps.reroute'],
      ['publisher', 'agent.results'],
      ['publisher', 'agent.control'],
      ['oss-pool', 'agent.steps.frontier'],
      ['frontier', 'agent.steps.frontier'],
      ['operator', 'agent.steps.frontier'],
      ['operator', 'agent.audit'],
      ['classifier', 'agent.policies'],
      ...topicNames.map((topic): [string, Topic] => ['stranger', topic]),
      ...topicNames.map((topic): [string, Topic] => ['auditor', topic]),
    ]
    for (const [user, topic] of denied) expect(await refusal(user, topic), `${user} ${topic}`).toMatch(/uthorized/)
    expect(await refusal('publisher', 'agent.feedback')).toBeUndefined()
  })
})
