import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, onTestFailed, test } from 'vitest'
import { createChain } from '#lib/audit/chain'
import { registerSchemas } from '#lib/events/register-schemas'
import { createRegistry } from '#lib/events/registry'
import { inNamespace } from '#lib/events/topics'
import type { DecisionRecord } from '#lib/events/types.generated'
import type { AuditDraft } from '#lib/stream/types'
import type { VerifySummary } from '../../cli/verify-summary.ts'
import type { ReadLink } from '../support/audit-chains.ts'
import { policyFile } from '../support/pipeline-policy.ts'
import { startPipeline, type Pipeline } from '../support/pipeline.ts'
import { makeSteps } from '../support/pipeline-steps.ts'
import { runShunt } from '../support/run-shunt.ts'

const stepsOfAPolicy = 40
const dir = mkdtempSync(join(tmpdir(), 'shunt-replay-'))
let pipeline: Pipeline
let links: ReadLink[]
let failed = false

beforeAll(async () => {
  const change = { reroute: { hint: true } }
  pipeline = await startPipeline({ stack: inject('stack'), policy: change })
  await answerAll('plain')
  const trained = { ...policyFile(pipeline.models), scorer: { use: 'trained' }, threshold: { gainPpm: 150_000 } }
  const file = join(dir, 'trained.yaml')
  writeFileSync(file, JSON.stringify(trained))
  const activated = await runShunt(pipeline.env, ['policy', 'activate', file, '--reason', 'a test'])
  if (activated.code !== 0) throw new Error(activated.stderr)
  await answerAll('trained')
  links = await pipeline.collectAudit()
}, 180_000)
beforeEach(() => onTestFailed(() => void (failed = true)))
afterAll(async () => {
  rmSync(dir, { recursive: true, force: true })
  await pipeline?.stopAll({ failed })
})

async function answerAll(prefix: string): Promise<void> {
  const steps = makeSteps(stepsOfAPolicy, prefix)
  await Promise.all(steps.map((step) => pipeline.client.ask(step, { timeoutMs: 90_000 })))
  await pipeline.untilIdle()
}

async function verify(...args: string[]): Promise<{ code: number; stderr: string; summary: VerifySummary }> {
  return verifyIn(pipeline.namespace, ...args)
}

async function verifyIn(namespace: string, ...args: string[]) {
  const env = { ...pipeline.env, SHUNT_NAMESPACE: namespace }
  const { code, stdout, stderr } = await runShunt(env, ['replay', 'verify', '--json', ...args])
  return { code, stderr, summary: JSON.parse(stdout) as VerifySummary }
}

const decisionsOf = (all: readonly ReadLink[]): DecisionRecord[] =>
  all.filter(({ record }) => record.type === 'decision').map(({ body }) => body as DecisionRecord)

describe('I4: what services wrote under two policies and two scorers', () => {
  test('comes out byte for byte, and so do the facts from the texts', async () => {
    const decisions = decisionsOf(links)
    const again = decisions.filter(({ attempt }) => attempt > 1)
    expect(again.length).toBeGreaterThan(0)
    expect(new Set(decisions.map(({ facts }) => facts.scoredBy))).toEqual(new Set(['hand_weighted', 'trained']))
    const { code, summary, stderr } = await verify('--features')
    const { length } = decisions
    expect(summary).toMatchObject({ complete: true, decisions: length, same: length, findings: [] })
    expect(summary.facts).toEqual({ same: length, different: 0, expired: 0, erased: 0, foreign: 0, scorerMissing: 0 })
    expect(stderr).toMatch(/records of the audit: \d+ of \d+, \d+\/s\n$/)
    expect(code).toBe(0)
  })

  test('can be asked for by tier, task and partition, and all partitions together are all', async () => {
    const decisions = decisionsOf(links)
    const frontier = decisions.filter(({ outcome }) => outcome.tier === 'frontier').length
    expect((await verify('--tier', 'frontier')).summary.decisions).toBe(frontier)
    const { taskId } = decisions[0]!
    const ofTask = decisions.filter((record) => record.taskId === taskId).length
    expect((await verify('--task', taskId)).summary.decisions).toBe(ofTask)
    const parts = await Promise.all([0, 1, 2].map((partition) => verify('--offsets', String(partition))))
    expect(parts.reduce((sum, { summary }) => sum + summary.decisions, 0)).toBe(decisions.length)
    expect((await verify('--until', '2020-01-01')).summary.decisions).toBe(0)
  })

  test('is verified once where a checkpoint says that it was, and another question needs another file', async () => {
    const file = join(dir, 'checkpoint.json')
    const first = await verify('--resume', file)
    const saved = JSON.parse(readFileSync(file, 'utf8')) as { positions: [number, number][]; question: string }
    expect(saved.positions.length).toBeGreaterThan(0)
    // A topic of the same name in another cluster is another source.
    expect(JSON.parse(saved.question)).toMatchObject({
      source: pipeline.topic('agent.audit'),
      cluster: expect.stringMatching(/./),
    })
    const second = await verify('--resume', file)
    expect(second.summary).toEqual({ ...first.summary, perSecond: 0 })
    expect(second.code).toBe(0)
    const other = await runShunt(pipeline.env, ['replay', 'verify', '--resume', file, '--tier', 'oss'])
    expect(other.stderr).toMatch(/^shunt: SHUNT_CHECKPOINT_INVALID: .* of another verification/)
  })
})

test('a changed outcome under a chain that was sealed anew is found and named', async () => {
  const namespace = `${pipeline.namespace}-forged`
  const victim = decisionsOf(links).find(({ outcome }) => outcome.tier === 'frontier')!
  await forge(namespace, links, (record) =>
    record.stepId === victim.stepId && record.attempt === victim.attempt
      ? { ...record, outcome: { ...record.outcome, tier: 'oss', model: 'open' } }
      : record,
  )
  const { code, summary } = await verifyIn(namespace)
  expect(code).toBe(1)
  expect(summary).toMatchObject({ different: 1, same: decisionsOf(links).length - 1, undecodable: 0, policyMissing: 0 })
  expect(summary.findings).toMatchObject([
    {
      topic: 'agent.audit',
      what: 'different',
      stepId: victim.stepId,
      attempt: victim.attempt,
      fields: [
        { path: 'outcome.tier', recorded: 'oss', remade: 'frontier' },
        { path: 'outcome.model', recorded: 'open', remade: 'frontier' },
      ],
    },
  ])
  const { stdout } = await runShunt({ ...pipeline.env, SHUNT_NAMESPACE: namespace }, ['replay', 'verify'])
  expect(stdout).toMatch(new RegExp(`agent.audit/\\d/\\d+ step ${victim.stepId}, decision \\d: came out differently`))
  expect(stdout).toContain('    outcome.tier: recorded "oss", made again "frontier"\n')
})

test('a text that retention took is told apart, and is no fault', async () => {
  const admin = pipeline.kafka.admin()
  await admin.connect()
  const topic = pipeline.topic('agent.steps')
  const ends = await admin.fetchTopicOffsets(topic)
  const { partition, high } = ends.find((end) => Number(end.high) > 2)!
  const start = Math.floor(Number(high) / 2)
  await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(start) }] })
  await admin.disconnect()
  const gone = decisionsOf(links).filter(
    ({ origin }) => origin.topic === topic && origin.partition === partition && origin.offset < start,
  ).length
  expect(gone).toBeGreaterThan(0)
  const { code, summary } = await verify('--features')
  expect(summary.facts).toMatchObject({ same: decisionsOf(links).length - gone, expired: gone, foreign: 0 })
  expect(code).toBe(0)
})

/** The audit in another namespace, with decisions changed and every chain sealed anew, as one who can write there would. */
async function forge(
  namespace: string,
  original: readonly ReadLink[],
  change: (record: DecisionRecord) => DecisionRecord,
): Promise<void> {
  const { codec } = pipeline
  await registerSchemas(createRegistry(pipeline.env['SCHEMA_REGISTRY_URL']!), namespace)
  const applied = await runShunt({ ...pipeline.env, SHUNT_NAMESPACE: namespace }, ['topics', 'apply'])
  expect(applied.code).toBe(0)
  const topic = inNamespace(namespace, 'agent.audit')
  const chain = createChain({ encode: (link) => codec.encode('audit-record', link), topic })
  const chains = Map.groupBy(original, ({ record }) => record.chainId)
  const draftOf = ({ record, body }: ReadLink): AuditDraft => ({
    type: record.type,
    body: record.type === 'decision' ? codec.encode('decision-record', change(body as DecisionRecord)) : record.body,
  })
  const records = [...chains].flatMap(([chainId, all]) => chain.seal(chainId, null, all.map(draftOf)).records)
  const producer = pipeline.kafka.producer()
  await producer.connect()
  await producer.send({ topic, messages: records.map(({ key, value }) => ({ key, value })) })
  const policies = pipeline.read('agent.policies').map(({ key, value }) => ({ key, value }))
  for (const message of policies)
    await producer.send({ topic: inNamespace(namespace, 'agent.policies'), messages: [message] })
  await producer.disconnect()
}
