import { randomBytes } from 'node:crypto'
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import type { Admin } from 'kafkajs'
import { afterAll, beforeAll, expect, inject, onTestFailed, test } from 'vitest'
import { openDataKeys } from '#lib/erasure/data-keys'
import { createKeyFile } from '#lib/erasure/key-files'
import { isSealed } from '#lib/erasure/sealed-text'
import { openText, sealPublished } from '#lib/erasure/step-texts'
import { stepFromJson } from '#lib/events/parse-step'
import { inNamespace, topicNames, topics } from '#lib/events/topics'
import type { DecisionRecord, StepResult } from '#lib/events/types.generated'
import type { ReplaySummary } from '#lib/replay/publish/summary'
import { readPartRecords, type ServiceName } from '../../cli/stack/part-record.ts'
import { runsDir, stackDir } from '../../cli/stack/paths.ts'
import { startPipeline, type Pipeline } from '../support/pipeline.ts'
import { weakMark } from '../support/pipeline-models.ts'
import { policyFile } from '../support/pipeline-policy.ts'
import { openRecords, type PipelineRecords } from '../support/pipeline-records.ts'
import { makeStep } from '../support/pipeline-steps.ts'
import { runShunt, shuntMain } from '../support/run-shunt.ts'
import { waitUntil } from '../support/wait-until.ts'

type Told = ReplaySummary & { namespace: string; policyHash: string; pinnedHash: string; frontier: string }

const leftMs = 600_000
const keysDir = mkdtempSync(join(tmpdir(), 'shunt-keys-'))
const keys = openDataKeys(keysDir)
let pipeline: Pipeline
let failed = false
/** By stepId. */
let recorded: Map<string, StepResult>
/** Of commands, and of the services that they start. */
let env: Record<string, string>

beforeAll(async () => {
  await createKeyFile(keysDir, 'initech', Date.now())
  const withKeys = { SHUNT_DATA_KEYS: keysDir }
  pipeline = await startPipeline({
    stack: inject('stack'),
    partitions: 2,
    providerLimits: { requestsPerMinute: 10_000 },
    oss: [{ latencyMs: 100 }],
    serviceEnv: { classifier: withKeys, 'oss-pool': withKeys, frontier: withKeys },
    policy: { tenants: [{ id: 'acme' }, { id: 'globex' }, { id: 'initech', texts: 'sealed' }] },
  })
  env = { ...pipeline.env, ...withKeys }
  const { client } = pipeline
  const steps = [
    ...Array.from({ length: 12 }, (_, i) => makeStep(`open-${i}`)),
    ...[0, 1, 2].map((i) => makeStep(`hard-${i}`, { kind: 'reasoning', priority: i === 0 ? 'batch' : 'interactive' })),
    makeStep('weak', { says: weakMark }),
    makeStep('timed', { deadlineAtMs: Date.now() + leftMs }),
    makeStep('theirs', { tenantId: 'globex', kind: 'reasoning' }),
  ]
  await Promise.all(steps.map((step) => client.publish(step)))
  const json = (step: object) => JSON.stringify(step)
  const twice = json({ ...makeStep('twice'), deadlineAtMs: Date.now() + leftMs })
  await publishRaw([
    { key: 'a', value: json(makeStep('as-json')) },
    { key: 'b', value: twice },
    { key: 'b', value: twice },
    { key: 'c', value: 'no step at all' },
    { key: 'd', value: json(makeStep('wrong-twin', { priority: 'batch' })) },
    { key: 'e', value: await sealed('sealed', { kind: 'reasoning' }) },
    // As much as the broker lets in, and cannot be compressed.
    { key: 'g', value: randomBytes(topics['agent.steps'].maxMessageBytes - 100) },
    { key: 'f', value: await sealed('sealed-wrong-twin', { kind: 'reasoning', priority: 'batch' }) },
  ])
  await pipeline.untilResults(steps.length + 5, 120_000)
  await pipeline.untilIdle()
  recorded = new Map((await pipeline.collectResults()).map((result) => [result.stepId, result]))
  // From here on whatever changes under a live name was changed by a replay.
  for (const service of ['classifier', 'oss-pool', 'frontier', 'ledger'] as const) await pipeline.drain(service, 0)
}, 240_000)

afterAll(async () => {
  if (!pipeline) return
  await runShunt(env, ['replay', 'remove', '--id', 'one'])
  await pipeline.stopAll({ failed })
  rmSync(keysDir, { recursive: true })
})

async function sealed(stepId: string, more: Parameters<typeof makeStep>[1]): Promise<Buffer> {
  const step = stepFromJson(makeStep(stepId, { tenantId: 'initech', ...more }))
  return pipeline.codec.encode('step', await sealPublished(keys, step))
}

/** An answer as its tenant reads it. */
async function answerOf({ tenantId, stepId, answer }: StepResult): Promise<{ sealed: boolean; text: string }> {
  return { sealed: isSealed(answer!), text: await openText(keys, { tenantId, stepId, field: 'answer' }, answer!) }
}

async function publishRaw(messages: { key: string; value: string | Buffer }[]): Promise<void> {
  const producer = pipeline.kafka.producer()
  await producer.connect()
  for (const message of messages) await producer.send({ topic: pipeline.topic('agent.steps'), messages: [message] })
  await producer.disconnect()
}

async function replay(id: string, ...args: string[]): Promise<Told> {
  const ended = await runShunt(env, ['replay', 'publish', '--id', id, '--json', ...args])
  if (ended.code !== 0) throw new Error(`exit ${ended.code}: ${ended.stderr}`)
  return JSON.parse(ended.stdout) as Told
}

interface RunningReplay {
  child: ChildProcess
  said: () => string
  ended: Promise<number | null>
  /** Resolves once the replay holds so many copies. */
  untilCopied(count: number): Promise<void>
}

async function startReplay(id: string, ...args: string[]): Promise<RunningReplay> {
  const child = spawn(process.execPath, [shuntMain, 'replay', 'publish', '--id', id, ...args], {
    env: { ...process.env, ...env },
  })
  let said = ''
  child.stderr.on('data', (text: Buffer) => (said += text.toString()))
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
  const names = ['agent.steps', 'agent.steps.batch'].map((topic) => `${pipeline.namespace}.replay-${id}.${topic}`)
  const copied = async (admin: Admin) => {
    const ends = await Promise.all(names.map((topic) => admin.fetchTopicOffsets(topic)))
    return ends.flat().reduce((sum, { high }) => sum + Number(high), 0)
  }
  return {
    child,
    said: () => said,
    ended,
    untilCopied: (count) =>
      withAdmin((admin) =>
        waitUntil(
          async () => {
            if (child.exitCode !== null) throw new Error(said)
            // Nobody leads a topic that is not there yet, or was made this moment.
            return (await copied(admin).catch(() => 0)) >= count
          },
          `${count} copies`,
          120_000,
        ),
      ),
  }
}

/** SIGKILL of a service that the command started. */
function killService(child: ChildProcess, name: ServiceName): void {
  const dir = readdirSync(runsDir).find((each) => each.startsWith(`replay-${child.pid}-`))!
  const record = readPartRecords(stackDir(join(runsDir, dir)).run).find((each) => each.name === name)!
  process.kill(record.process.pid, 'SIGKILL')
}

async function withAdmin<T>(use: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = pipeline.kafka.admin()
  await admin.connect()
  try {
    return await use(admin)
  } finally {
    await admin.disconnect()
  }
}

async function recordsOf(namespace: string): Promise<PipelineRecords & AsyncDisposable> {
  const records = await openRecords({ stack: inject('stack'), namespace })
  return { ...records, [Symbol.asyncDispose]: () => records.close() }
}

async function decisionsOf(records: PipelineRecords): Promise<DecisionRecord[]> {
  const links = await records.collectAudit()
  return links.flatMap(({ record, body }) => (record.type === 'decision' ? [body as DecisionRecord] : []))
}

async function withRedis<T>(use: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(inject('stack').redisUrl)
  try {
    return await use(redis)
  } finally {
    redis.disconnect()
  }
}

async function subjects(): Promise<string[]> {
  return (await (await fetch(`${inject('stack').registryUrl}/subjects`)).json()) as string[]
}

/** Everything under a live name: where topics end, what groups have committed, what Redis and the registry hold. */
async function liveState(): Promise<Record<string, string>> {
  const { namespace } = pipeline
  const prefix = inNamespace(namespace, '')
  const isLive = (name: string) => name.startsWith(prefix) && !name.startsWith(`${prefix}replay-`)
  return withAdmin(async (admin) => {
    const state: [string, string][] = []
    for (const topic of topicNames.map((name) => pipeline.topic(name)))
      state.push([topic, JSON.stringify(await admin.fetchTopicOffsets(topic))])
    const { groups } = await admin.listGroups()
    for (const { groupId } of groups.filter(({ groupId }) => isLive(groupId)))
      state.push([groupId, JSON.stringify(await admin.fetchOffsets({ groupId }))])
    const keys = await withRedis(async (redis) => {
      const found = (await redis.keys(`${prefix}*`)).filter(isLive)
      return Promise.all(found.map(async (key) => [key, (await redis.dumpBuffer(key))?.toString('hex') ?? ''] as const))
    })
    for (const subject of (await subjects()).filter((name) => isLive(name) || name.startsWith('dev.shunt.audit.')))
      state.push([subject, await (await fetch(`${inject('stack').registryUrl}/subjects/${subject}/versions`)).text()])
    return Object.fromEntries([...state, ...keys])
  })
}

/** Keys may expire meanwhile, and nothing else may change. */
function expectUntouched(before: Record<string, string>, after: Record<string, string>, except = /^$/): void {
  const changed = Object.entries(after).filter(([name, value]) => before[name] !== value && !except.test(name))
  expect(changed).toEqual([])
  for (const name of Object.keys(before)) if (!(name in after)) expect(name).toMatch(/\.\{|:/)
}

/** What is left under a replay's names. */
async function leftOf(namespace: string): Promise<string[]> {
  const prefix = inNamespace(namespace, '')
  return withAdmin(async (admin) => {
    const found = await admin.listTopics()
    const groups = (await admin.listGroups()).groups.map(({ groupId }) => groupId)
    const keys = await withRedis((redis) => redis.keys(`${prefix}*`))
    return [...found, ...groups, ...keys, ...(await subjects())].filter((name) => name.startsWith(prefix))
  })
}

test(
  'a replay with recorded answers is stopped, resumed, and ends each copied step once, with no call of the provider',
  { timeout: 240_000 },
  async () => {
    onTestFailed(() => void (failed = true))
    const before = await liveState()
    const calls = pipeline.models.frontier.arrivals.length
    const namespace = `${pipeline.namespace}.replay-one`

    const broken = await startReplay('one', '--in-flight', '1')
    await broken.untilCopied(1)
    killService(broken.child, 'oss-pool')
    expect(await broken.ended, broken.said()).toBe(1)
    expect(broken.said()).toMatch(/SHUNT_SETUP_FAILED: oss-pool ended by itself/)
    expect(broken.said()).toContain('--id one --resume')

    const stopped = await startReplay('one', '--resume', '--in-flight', '1')
    await stopped.untilCopied(4)
    stopped.child.kill('SIGINT')
    expect(await stopped.ended, stopped.said()).toBe(130)
    expect(stopped.said()).toContain('--id one --resume')

    const again = await runShunt(env, ['replay', 'publish', '--id', 'one'])
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('SHUNT_REPLAY_REFUSED') as string })

    const told = await replay('one', '--resume')
    expect(told).toMatchObject({
      namespace,
      frontier: 'recorded',
      copied: recorded.size + 3,
      results: recorded.size,
      duplicates: 1,
      deadLetters: 2,
      byStatus: { completed: recorded.size },
      notRecorded: 0,
      compared: { steps: recorded.size, sameModel: recorded.size, otherModel: 0, statusChanges: {} },
    })
    expect(told.costMicroUsd).toBe([...recorded.values()].reduce((sum, { costMicroUsd }) => sum + costMicroUsd, 0))
    expect(told.compared.recordedCostMicroUsd).toBe(told.costMicroUsd)
    expect(pipeline.models.frontier.arrivals.length).toBe(calls)

    await using records = await recordsOf(namespace)
    const results = await records.collectResults()
    expect(results.map(({ stepId }) => stepId).toSorted()).toEqual([...recorded.keys()].toSorted())
    for (const result of results) {
      const { stepId, tier, tenantId } = result
      const before = recorded.get(stepId)!
      expect({ tier, tenantId }, stepId).toEqual({ tier: before.tier, tenantId: before.tenantId })
      if (tier === 'frontier') expect(await answerOf(result), stepId).toEqual(await answerOf(before))
    }
    expect(await answerOf(results.find(({ stepId }) => stepId === 'sealed')!)).toMatchObject({ sealed: true })
    for (const { headers } of records.read('agent.results')) {
      expect(headers['x-replay-id']).toBe('one')
      expect(headers['x-replay-source']).toMatch(/^agent\.steps(\.batch)?\/\d+\/\d+$/)
    }
    const sources = [...records.read('agent.steps'), ...records.read('agent.steps.batch')].map(
      ({ headers }) => headers['x-replay-source'],
    )
    expect(new Set(sources).size).toBe(sources.length)
    expect(
      records
        .read('agent.steps')
        .find(({ key }) => key === 'a')
        ?.value?.toString(),
    ).toBe(
      pipeline
        .read('agent.steps')
        .find(({ key }) => key === 'a')
        ?.value?.toString(),
    )
    const decisions = await decisionsOf(records)
    expect(new Set(decisions.map(({ policyHash }) => policyHash.toString('hex')))).toEqual(new Set([told.policyHash]))
    const timed = decisions.find(({ stepId }) => stepId === 'timed')!.facts
    const left = timed.deadlineAtMs! - timed.receivedAtMs
    expect(left).toBeLessThanOrEqual(leftMs)
    expect(left).toBeGreaterThan(leftMs - 120_000)
    await records.expectAudit()

    expect(await withRedis((redis) => redis.keys(`${namespace}.*:recorded:*`))).toEqual([])
    expectUntouched(before, await liveState())
  },
)

test(
  'a replay of one task without frontier calls answers with open models alone, and is removed without a trace',
  { timeout: 180_000 },
  async () => {
    onTestFailed(() => void (failed = true))
    const before = await liveState()
    const calls = pipeline.models.frontier.arrivals.length
    const told = await replay('two', '--frontier', 'off', '--task', 'task-hard-0', '--task', 'task-hard-1', '--cleanup')
    expect(told).toMatchObject({
      copied: 2,
      byStatus: { completed: 2 },
      byTier: { oss: 2 },
      costMicroUsd: 0,
      compared: { steps: 2, sameModel: 0, otherModel: 2 },
    })
    expect(told.policyHash).not.toBe(told.pinnedHash)
    expect(pipeline.models.frontier.arrivals.length).toBe(calls)
    expect(await leftOf(told.namespace)).toEqual([])
    expectUntouched(before, await liveState())
    // A schema's id outlives the subjects of the replay.
    await using live = await recordsOf(pipeline.namespace)
    expect(await live.collectResults()).toHaveLength(recorded.size)
  },
)

test(
  'a step of which no answer is recorded gets none, and falls back; an id can be used again once its replay is removed',
  { timeout: 180_000 },
  async () => {
    onTestFailed(() => void (failed = true))
    const calls = pipeline.models.frontier.arrivals.length
    const dir = mkdtempSync(join(tmpdir(), 'shunt-test-policy-'))
    const file = join(dir, 'policy.yaml')
    const rules = [{ name: 'all', when: {}, choose: { tier: 'frontier' as const } }]
    writeFileSync(file, JSON.stringify({ ...policyFile(pipeline.models), rules }))
    try {
      const tasks = ['--task', 'task-open-0', '--task', 'task-hard-1']
      const told = await replay('two', '--policy', file, ...tasks)
      expect(told).toMatchObject({
        copied: 2,
        byStatus: { completed: 2 },
        byTier: { oss: 1, frontier: 1 },
        notRecorded: 1,
      })
      await using records = await recordsOf(told.namespace)
      const open = (await records.collectResults()).find(({ stepId }) => stepId === 'open-0')
      expect(open).toMatchObject({
        tier: 'oss',
        attempts: [
          { tier: 'frontier', verdict: 'no_recorded_answer', costMicroUsd: 0, outcomeUnknown: false },
          { tier: 'oss', verdict: 'ok' },
        ],
      })
    } finally {
      rmSync(dir, { recursive: true })
    }
    expect(pipeline.models.frontier.arrivals.length).toBe(calls)
    expect(await runShunt(env, ['replay', 'remove', '--id', 'two'])).toMatchObject({ code: 0 })
  },
)

test(
  "I5: a replay that calls the frontier is asked to be told so, and counts in the live namespace's windows",
  { timeout: 180_000 },
  async () => {
    onTestFailed(() => void (failed = true))
    const before = await liveState()
    const calls = pipeline.models.frontier.arrivals.length
    const only = ['--frontier', 'on', '--tier', 'frontier', '--tenant', 'globex']
    const unasked = await runShunt(env, ['replay', 'publish', '--id', 'three', ...only])
    expect(unasked.code).toBe(1)
    expect(unasked.stderr).toMatch(/could cost at most: \$0\.\d+[\s\S]*add --yes/)
    expect(await leftOf(`${pipeline.namespace}.replay-three`)).toEqual([])

    const told = await replay('three', ...only, '--yes', '--budget', '1')
    expect(told).toMatchObject({ copied: 1, byTier: { frontier: 1 }, compared: { sameModel: 1 } })
    expect(pipeline.models.frontier.arrivals.length).toBe(calls + 1)
    const limits = /\{provider~frontier\}:limit:/
    expect((await leftOf(told.namespace)).filter((name) => /:limit:log/.test(name))).toEqual([])
    const after = await liveState()
    expectUntouched(before, after, limits)
    const log = `${pipeline.namespace}.{provider~frontier}:limit:log`
    expect(after[log]).not.toBe(before[log])
    const removed = await runShunt(env, ['replay', 'remove', '--id', 'three'])
    expect(removed).toMatchObject({ code: 0, stdout: `${told.namespace} is removed\n` })
    expect(await leftOf(told.namespace)).toEqual([])
  },
)
