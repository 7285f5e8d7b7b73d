import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { createClient, type Client } from '#lib/client/create-client'
import type { StepInput } from '#lib/client/step-input'
import { dataKeyOf, openDataKeys } from '#lib/erasure/data-keys'
import { createKeyFile, listKeyFiles, readKeyFile } from '#lib/erasure/key-files'
import { isSealed, sealWith } from '#lib/erasure/sealed-text'
import { topicNames } from '#lib/events/topics'
import type { OperatorRecord, StepResult } from '#lib/events/types.generated'
import { createKafkaFactory } from '#lib/stream/kafka'
import { startPipeline, type Pipeline } from '../support/pipeline.ts'
import { weakMark } from '../support/pipeline-models.ts'
import { makeStep } from '../support/pipeline-steps.ts'
import { runShunt } from '../support/run-shunt.ts'
import { holds, searchRedis } from '../support/search-redis.ts'
import { waitUntil } from '../support/wait-until.ts'

const asked = 'QUESTION-OF-MRS-DOE'
const openSaid = 'OPEN-ANSWER-TO-MRS-DOE'
const weakSaid = 'WEAK-ANSWER-TO-MRS-DOE'
const frontierSaid = 'FRONTIER-ANSWER-TO-MRS-DOE'
/** To a tenant whose texts are plain. */
const plainSaid = 'ANSWER-TO-ANYBODY'
const secrets = [asked, openSaid, weakSaid, frontierSaid]
/** Makes a call of the frontier last, so that Redis can be looked at meanwhile. */
const slowMark = 'TAKE-YOUR-TIME'
/** For how long a process may know a key that was deleted (docs/erasure.md). */
const forgottenMs = 60_000

const keysDir = mkdtempSync(join(tmpdir(), 'shunt-keys-'))
const { redisUrl, brokers } = inject('stack')
let pipeline: Pipeline
let client: Client

beforeAll(async () => {
  await createKeyFile(keysDir, 'acme', Date.now())
  const keys = { SHUNT_DATA_KEYS: keysDir }
  pipeline = await startPipeline({
    stack: inject('stack'),
    partitions: 2,
    serviceEnv: { classifier: keys, 'oss-pool': keys, frontier: keys },
    policy: { tenants: [{ id: 'acme', texts: 'sealed' }, { id: 'globex' }], reroute: { hint: true } },
    oss: [
      {
        latencyMs: 20,
        reply: ({ messages }) => {
          const prompt = JSON.stringify(messages)
          if (prompt.includes(weakMark)) return { content: weakSaid, finishReason: 'length' }
          return { content: prompt.includes(asked) ? openSaid : plainSaid }
        },
      },
    ],
    frontier: { reply: () => ({ content: frontierSaid }), slowMarker: slowMark, slowMs: 5_000 },
  })
  const log = pino({ level: 'silent' })
  const kafka = createKafkaFactory({ log }, { brokers })
  client = await createClient(
    { kafka, codec: pipeline.codec, log, keys: openDataKeys(keysDir) },
    { namespace: pipeline.namespace },
  )
})
afterAll(async () => {
  await client?.close()
  await pipeline?.stopAll()
  rmSync(keysDir, { recursive: true })
})

const step = (stepId: string, more: Parameters<typeof makeStep>[1] = {}): StepInput =>
  makeStep(stepId, { ...more, says: `${asked} ${more.says ?? ''}` })

const contentOf = (result: StepResult): unknown =>
  (JSON.parse(result.answer!) as { choices: { message: { content: string } }[] }).choices[0]!.message.content

/** Topics, logs and keys of Redis in which one of the texts was found. */
async function whereFound(texts: readonly string[]): Promise<string[]> {
  await pipeline.untilIdle()
  const found = topicNames.filter((topic) =>
    pipeline
      .read(topic)
      .some(({ key, value, headers }) =>
        holds([Buffer.from(key + JSON.stringify(headers)), value ?? Buffer.alloc(0)], texts),
      ),
  )
  const services = ['classifier', 'oss-pool', 'frontier', 'ledger'] as const
  const logs = services.filter((service) => holds([Buffer.from(pipeline.logOf(service, 0))], texts))
  const redis = await searchRedis(redisUrl, pipeline.namespace, texts)
  return [...found, ...logs, ...redis.found]
}

async function shunt(args: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const { code, stdout, stderr } = await runShunt({ ...pipeline.env, ...env }, args)
  if (code !== 0) throw new Error(`shunt ${args.join(' ')}: exit ${code}: ${stderr}`)
  return stdout
}

interface Verified {
  decisions: number
  same: number
  facts: { same: number; erased: number }
}

/** Every decision comes out again: `shunt replay verify` exits with 1 where one does not. */
async function verifyDecisions(env: Record<string, string>): Promise<Verified> {
  const verified = JSON.parse(await shunt(['replay', 'verify', '--features', '--json'], env)) as Verified
  expect(verified.same).toBe(verified.decisions)
  expect(verified.facts.same + verified.facts.erased).toBe(verified.decisions)
  return verified
}

test('sealed steps go to every tier and back, and no topic, no log and nothing in Redis holds their texts', async () => {
  const slow = client.ask(step('s-slow', { kind: 'reasoning', says: slowMark }))
  const easy = client.ask(step('s-easy'))
  const weak = client.ask(step('s-weak', { says: weakMark, priority: 'batch' }))
  await waitUntil(() => pipeline.models.callsOf('s-slow') === 1, 'the frontier to be asked')
  const during = await searchRedis(redisUrl, pipeline.namespace, secrets)
  expect(during.keys.some((key) => key.includes(':request:'))).toBe(true)
  expect(during.found).toEqual([])

  expect(contentOf(await easy)).toBe(openSaid)
  expect(contentOf(await slow)).toBe(frontierSaid)
  const reRouted = await weak
  expect(contentOf(reRouted)).toBe(frontierSaid)
  expect(reRouted.attempts.map(({ tier, verdict }) => `${tier} ${verdict}`)).toEqual(['oss truncated', 'frontier ok'])
  // The weak answer was opened for the hint.
  const hinted = pipeline.models.frontier.arrivals.filter(({ body }) => JSON.stringify(body).includes(weakSaid))
  expect(hinted).toHaveLength(1)

  expect(await whereFound(secrets)).toEqual([])
  const redis = await searchRedis(redisUrl, pipeline.namespace, [])
  expect(redis.keys.some((key) => key.includes(':answer:'))).toBe(true)
  const answers = (await pipeline.collectResults()).map(({ answer }) => isSealed(answer!))
  expect(answers).toEqual([true, true, true])
})

test('a step that is published again is a duplicate, and gets no second result', async () => {
  await client.publish(step('s-easy'))
  await pipeline.untilIdle()
  const links = await pipeline.collectAudit()
  expect(links.filter(({ record }) => record.type === 'duplicate')).toHaveLength(1)
  expect((await pipeline.collectResults()).filter(({ stepId }) => stepId === 's-easy')).toHaveLength(1)
})

test('a plain request of a tenant of sealed texts is rejected; a tenant without a key goes on plain', async () => {
  const refused = await pipeline.client.ask(makeStep('s-plain'))
  expect(refused).toMatchObject({ status: 'rejected', code: 'SHUNT_TEXT_NOT_SEALED' })
  const other = await client.ask({ ...makeStep('g-1'), tenantId: 'globex' })
  expect(other).toMatchObject({ status: 'completed' })
  expect(contentOf(other)).toBe(plainSaid)
  // Which shows that the search finds what is there.
  expect(await whereFound([plainSaid])).toEqual(['agent.results'])
})

test('who has the key reads results and labels, who has none is told that they are sealed', async () => {
  const mine = { SHUNT_DATA_KEYS: keysDir }
  const of = ['results', '--tenant', 'acme', '--task', 'task-s-easy', '--json']
  const answerOf = (line: string) => (JSON.parse(line) as { answer: { choices: unknown } | null }).answer
  expect(JSON.stringify(answerOf(await shunt(of, mine)))).toContain(openSaid)
  const closed = JSON.parse(await shunt(of)) as { answer: unknown; sealedAnswer: string }
  expect([closed.answer, isSealed(closed.sealedAnswer)]).toEqual([null, true])
  expect(await shunt(['task', 'task-s-easy', '--json'], mine)).toContain(openSaid)
  expect((await verifyDecisions(mine)).facts.erased).toBe(0)

  await client.feedback({ tenantId: 'acme', stepId: 's-easy', taskId: 'task-s-easy', verdict: 'right' })
  await pipeline.untilIdle()
  const out = join(keysDir, '..', `${pipeline.namespace}-labels.jsonl`)
  try {
    const labels = async (env: Record<string, string>) => {
      const { stdout } = await runShunt({ ...pipeline.env, ...env }, ['labels', out, '--json'])
      return JSON.parse(stdout) as { labels: number; sealed: number; withoutRequest: number }
    }
    expect(await labels(mine)).toMatchObject({ labels: 1, sealed: 0, withoutRequest: 0 })
    expect(readFileSync(out, 'utf8')).toContain(asked)
    expect(await labels({})).toMatchObject({ labels: 0, sealed: 1, withoutRequest: 0 })
  } finally {
    rmSync(out, { force: true })
  }
})

test('once the key is deleted nobody reads them, the audit is whole, and only this tenant is concerned', async () => {
  const [file] = await listKeyFiles(keysDir, 'acme')
  const key = await dataKeyOf(file!.keyId, await readKeyFile(file!))
  /** As a publisher seals that has not heard of it. */
  const sealedStep = async (stepId: string): Promise<StepInput> => {
    const request = JSON.stringify(step(stepId).request)
    return { ...step(stepId), request: await sealWith(key, { tenantId: 'acme', stepId, field: 'request' }, request) }
  }
  const order = ['--reason', 'of the test', '--actor', 'tester']
  await shunt(['pause', 'frontier', ...order])
  const held = pipeline.client.ask({ ...(await sealedStep('s-held')), kind: 'reasoning' })
  await waitUntil(
    async () => (await pipeline.metric('frontier', 0, 'shunt_records_retried_total', { code: 'SHUNT_PAUSED' })) > 0,
    'the step to be held',
  )

  const env = { SHUNT_DATA_KEYS: keysDir }
  const unattended = await runShunt({ ...pipeline.env, ...env }, ['erase', '--tenant', 'acme', ...order])
  expect([unattended.code, unattended.stderr]).toEqual([1, expect.stringContaining('--yes')])
  expect(await listKeyFiles(keysDir, 'acme')).toHaveLength(1)
  const told = JSON.parse(await shunt(['erase', '--tenant', 'acme', '--yes', '--json', ...order], env)) as object
  const erasedAtMs = Date.now()
  expect(told).toMatchObject({
    tenantId: 'acme',
    keyIds: [file!.keyId],
    order: { name: 'erase/acme', actor: 'tester' },
  })
  expect(await listKeyFiles(keysDir, 'acme')).toEqual([])
  const typo = await runShunt({ ...pipeline.env, ...env }, ['erase', '--tenant', 'acmee', '--yes', ...order])
  expect([typo.code, typo.stderr]).toEqual([1, expect.stringContaining('SHUNT_ORDER_INVALID')])

  // Processes forget the key by themselves.
  let last: StepResult | undefined
  let number = 0
  await waitUntil(
    async () => {
      last = await pipeline.client.ask(await sealedStep(`s-late-${(number += 1)}`))
      return last.status === 'rejected'
    },
    () => `a later step to be rejected; the last one ended as ${last?.status}`,
    forgottenMs,
  )
  expect(last).toMatchObject({ code: 'SHUNT_TEXT_ERASED', answer: null })
  const other = await client.ask({ ...makeStep('g-2'), tenantId: 'globex' })
  expect(other).toMatchObject({ status: 'completed' })

  // One that had been accepted before ends too, uncalled.
  await sleep(Math.max(0, erasedAtMs + 11_000 - Date.now()))
  await shunt(['resume', 'frontier', ...order])
  expect(await held).toMatchObject({ status: 'failed', code: 'SHUNT_TEXT_ERASED', attempts: [] })
  expect(pipeline.models.callsOf('s-held')).toBe(0)

  const lines = (await shunt(['results', '--tenant', 'acme', '--json'], env)).trimEnd().split('\n')
  const easy = lines.map((line) => JSON.parse(line) as { stepId: string; answer: unknown; sealedAnswer?: string })
  expect(easy.find(({ stepId }) => stepId === 's-easy')).toMatchObject({
    answer: null,
    sealedAnswer: expect.stringMatching(/^eyJ/) as string,
  })
  expect(await shunt(['keys', 'list'], env)).toContain('erased')

  await pipeline.untilIdle()
  const { facts } = await verifyDecisions(env)
  // Only the other tenant's: g-1 and g-2.
  expect(facts.same).toBe(2)
  expect(facts.erased).toBeGreaterThanOrEqual(5)
  expect((await pipeline.expectAudit()).chains).toBeGreaterThan(0)
  const operators = (await pipeline.collectAudit())
    .filter(({ record }) => record.type === 'operator')
    .map(({ body }) => (body as OperatorRecord).order)
  expect(operators.find(({ name }) => name === 'erase/acme')).toMatchObject({
    actor: 'tester',
    reason: 'of the test',
    value: JSON.stringify({ keys: [file!.keyId] }),
  })
  expect(await whereFound(secrets)).toEqual([])
})
