import { randomUUID } from 'node:crypto'
import { ConfigResourceTypes, Kafka, logLevel, type Admin } from 'kafkajs'
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest'
import { createRegistry } from '#lib/events/registry'
import { registerSchemas } from '#lib/events/register-schemas'
import { runShunt } from '../support/run-shunt.ts'

vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 })

const dayMs = 86_400_000
const stack = inject('stack')
const namespace = `test-${randomUUID().slice(0, 8)}`
const env = {
  KAFKA_BROKERS: stack.brokers.join(','),
  SCHEMA_REGISTRY_URL: stack.registryUrl,
  REDIS_URL: stack.redisUrl,
  SHUNT_NAMESPACE: namespace,
}
let admin: Admin

const topic = (name: string) => `${namespace}.${name}`
const apply = (...args: string[]) => runShunt(env, ['topics', 'apply', '--partitions', '1', ...args])

async function configOf(name: string): Promise<Record<string, string>> {
  const resource = { type: ConfigResourceTypes.TOPIC, name: topic(name) }
  const { resources } = await admin.describeConfigs({ resources: [resource], includeSynonyms: false })
  return Object.fromEntries(resources[0]!.configEntries.map(({ configName, configValue }) => [configName, configValue]))
}

beforeAll(async () => {
  admin = new Kafka({ brokers: [...stack.brokers], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  await registerSchemas(createRegistry(stack.registryUrl), namespace)
  const made = await apply('--retention', 'agent.results=180d')
  if (made.code !== 0) throw new Error(made.stderr)
})
afterAll(async () => {
  const own = (await admin.listTopics()).filter((name) => name.startsWith(`${namespace}.`))
  await admin.deleteTopics({ topics: own })
  await admin.disconnect()
})

test('a new topic gets the retention that is named, others their own; list shows what the broker has', async () => {
  expect(await configOf('agent.results')).toMatchObject({ 'retention.ms': String(180 * dayMs) })
  expect(await configOf('agent.steps')).toMatchObject({ 'retention.ms': String(365 * dayMs) })
  const { stdout } = await runShunt(env, ['topics', 'list', '--json'])
  expect(JSON.parse(stdout)).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ name: topic('agent.results'), retentionMs: 180 * dayMs }),
      expect.objectContaining({ name: topic('agent.policies'), retentionMs: -1 }),
    ]),
  )
})

test('a topic that is there is changed where it is named, with what else it sets left as it is', async () => {
  const before = await configOf('agent.results')
  const longer = await apply('--retention', 'agent.results=200d')
  expect(longer, longer.stderr).toMatchObject({ code: 0 })
  expect(longer.stdout).toContain(`${topic('agent.results')} keeps 200 d, no longer 180 d\n`)
  expect(await configOf('agent.results')).toEqual({ ...before, 'retention.ms': String(200 * dayMs) })
  expect((await apply('--json')).stdout).toContain('"retained":[]')
  expect(await configOf('agent.results')).toMatchObject({ 'retention.ms': String(200 * dayMs) })
})

test('shortening deletes records: it is refused as a whole unless --shorten says so', async () => {
  const asked = ['--retention', 'agent.audit=20d,agent.deadletter=for-ever']
  const refused = await apply(...asked)
  expect(refused).toMatchObject({ code: 1 })
  expect(refused.stderr).toContain(`${topic('agent.audit')} (3650 d now, 20 d asked for): export what must be kept`)
  expect(await configOf('agent.audit')).toMatchObject({ 'retention.ms': String(3650 * dayMs) })
  expect(await configOf('agent.deadletter')).toMatchObject({ 'retention.ms': String(365 * dayMs) })

  const done = await apply(...asked, '--shorten')
  expect(done, done.stderr).toMatchObject({ code: 0 })
  expect(done.stderr).toContain('keep it longer than any task lives')
  expect(await configOf('agent.audit')).toMatchObject({ 'retention.ms': String(20 * dayMs) })
  expect(await configOf('agent.deadletter')).toMatchObject({ 'retention.ms': '-1' })
})

test('a topic that is not there cannot be given one', async () => {
  const refused = await apply('--retention', 'agent.results.nobody=90d')
  expect(refused).toMatchObject({ code: 1 })
  expect(refused.stderr).toContain('agent.results.nobody gets a retention, and is neither there nor in the policy')
})
