import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, expect, inject, onTestFailed, test, vi } from 'vitest'
import { openExportSource } from '#lib/audit/export-source'
import type { AuditEntry } from '#lib/audit/source'
import { startPipeline, type Pipeline } from '../support/pipeline.ts'
import { weakMark } from '../support/pipeline-models.ts'
import { makeStep, tenantId } from '../support/pipeline-steps.ts'
import { pythonWith } from '../support/python.ts'
import { runShunt } from '../support/run-shunt.ts'

vi.setConfig({ testTimeout: 240_000, hookTimeout: 400_000 })

const dir = mkdtempSync(join(tmpdir(), 'shunt-export-test-'))
const whole = join(dir, 'whole')
const stepCount = 60
let pipeline: Pipeline
let failed = false

beforeAll(async () => {
  pipeline = await startPipeline({ stack: inject('stack'), partitions: 2 })
})
beforeEach(() => onTestFailed(() => void (failed = true)))
afterAll(async () => {
  await pipeline?.stopAll({ failed })
  rmSync(dir, { recursive: true, force: true })
})

const shunt = (...args: string[]) => runShunt(pipeline.env, args)
const silent = { warn: () => {} }

/** Every fifth step gets a weak answer first. */
const stepsOf = (name: string) =>
  Array.from({ length: stepCount / 2 }, (_, i) =>
    makeStep(`${name}-${i}`, { taskId: `${name}-${i % 7}`, says: i % 5 === 0 ? weakMark : '' }),
  )

async function entriesOf(out: string): Promise<AuditEntry[]> {
  await using source = await openExportSource(out, { log: silent })
  return (await Array.fromAsync(source.audit({}))).flat()
}

const placeOf = ({ partition, offset }: { partition: number; offset: number | string }) => `${partition}/${offset}`

test('an export holds every record of the log byte for byte, and the results and verdicts beside it', async () => {
  const steps = stepsOf('first')
  await pipeline.client.publishAll(steps, {})
  await pipeline.untilResults(steps.length)
  const [{ stepId, taskId }] = steps as [(typeof steps)[number]]
  await pipeline.client.feedbackAll([{ tenantId, stepId, taskId, verdict: 'wrong', code: 'label' }], {})
  await pipeline.untilIdle()
  halfway = Date.now()
  await pipeline.client.publishAll(stepsOf('second'), {})
  await pipeline.untilResults(stepCount)
  await pipeline.untilIdle()

  const ended = await shunt('audit', 'export', '--out', whole, '--json')
  expect(ended, ended.stderr).toMatchObject({ code: 0 })
  const written = pipeline.read('agent.audit')
  expect(JSON.parse(ended.stdout)).toMatchObject({
    records: written.length,
    steps: stepCount,
    undecodable: 0,
    undecodableBodies: 0,
  })

  const read = new Map((await entriesOf(whole)).map((entry) => [placeOf(entry), entry]))
  expect(read.size).toBe(written.length)
  for (const record of written) {
    const entry = read.get(placeOf(record))!
    expect(entry.record && pipeline.codec.encode('audit-record', entry.record)).toEqual(record.value)
  }
  await using source = await openExportSource(whole, { log: silent })
  const results = (await Array.fromAsync(source.results({}))).flat()
  expect(new Set(results.map((result) => result.stepId)).size).toBe(stepCount)
  const verdicts = (await Array.fromAsync(source.feedback({}))).flat()
  expect(verdicts).toMatchObject([{ feedback: { stepId, taskId, verdict: 'wrong', code: 'label' } }])
  const policies = (await Array.fromAsync(source.policies())).flat()
  expect(policies.length).toBeGreaterThan(0)
})
let halfway = 0

test('exports of one time after the other hold each record once, and their chains join', async () => {
  const at = new Date(halfway).toISOString()
  const [earlier, later] = [join(dir, 'earlier'), join(dir, 'later')]
  expect(await shunt('audit', 'export', '--out', earlier, '--until', at)).toMatchObject({ code: 0 })
  const next = await shunt('audit', 'export', '--out', later, '--after', earlier, '--json')
  expect(next, next.stderr).toMatchObject({ code: 0 })
  expect(JSON.parse(next.stdout)).toMatchObject({ gaps: [] })
  const [before, after] = [await entriesOf(earlier), await entriesOf(later)]
  expect(before.length).toBeGreaterThan(0)
  expect(after.length).toBeGreaterThan(0)
  expect([...before, ...after].map(placeOf).toSorted()).toEqual((await entriesOf(whole)).map(placeOf).toSorted())

  const late = await shunt('audit', 'export', '--out', join(dir, 'late'), '--since', at)
  expect(late, late.stderr).toMatchObject({ code: 0 })
  expect((await entriesOf(join(dir, 'late'))).map(placeOf).toSorted()).toEqual(after.map(placeOf).toSorted())
  const endless = await shunt('audit', 'export', '--out', join(dir, 'none'), '--after', join(dir, 'late'))
  expect(endless).toMatchObject({ code: 1, stderr: expect.stringContaining('give --until to each of a series') })
})

test('the decisions of an export come out again without Kafka or a registry', async () => {
  const nowhere = { KAFKA_BROKERS: '127.0.0.1:1', SCHEMA_REGISTRY_URL: 'http://127.0.0.1:1' }
  const ended = await runShunt({ ...pipeline.env, ...nowhere }, ['replay', 'verify', '--from', whole, '--json'])
  expect(ended, ended.stderr + ended.stdout).toMatchObject({ code: 0 })
  const decisions = (await entriesOf(whole)).filter(({ record }) => record?.type === 'decision')
  expect(JSON.parse(ended.stdout)).toMatchObject({ decisions: decisions.length, findings: [] })
})

test('DuckDB answers the queries of docs/retention.md', async () => {
  const python = await pythonWith(join(import.meta.dirname, '..', 'support', 'duckdb-requirements.txt'))
  const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'retention.md'), 'utf8')
  const queries = [...page.matchAll(/```sql\n([\s\S]*?)```/g)].map((match) =>
    match[1]!.replaceAll('EXPORT', whole).replaceAll('TASK', 'first-1'),
  )
  expect(queries.length).toBeGreaterThan(2)
  const script = `
import duckdb, json, sys
print(json.dumps([[list(row) for row in duckdb.sql(query).fetchall()] for query in json.load(sys.stdin)], default=str))`
  const asked = promisify(execFile)(python, ['-c', script])
  const log = `select count(*), count(distinct chainId) from '${whole}/audit/*.parquet'`
  const joined = `select count(*) from '${whole}/decisions/*.parquet' d join '${whole}/audit/*.parquet' a
    on a.partition = d.auditPartition and a."offset" = d.auditOffset where a.type = 'decision'`
  asked.child.stdin?.end(JSON.stringify([...queries, log, joined]))
  const answers = JSON.parse((await asked).stdout) as unknown[][][]
  for (const answer of answers.slice(0, queries.length)) expect(answer.length).toBeGreaterThan(0)
  const links = (await entriesOf(whole)).map(({ record }) => record!)
  expect(answers.at(-2)).toEqual([[links.length, new Set(links.map(({ chainId }) => chainId)).size]])
  expect(answers.at(-1)).toEqual([[links.filter(({ type }) => type === 'decision').length]])
})

test('a directory that holds something is refused, and bytes that nobody can read are kept', async () => {
  writeFileSync(join(dir, 'file'), '')
  const refused = await shunt('audit', 'export', '--out', dir)
  expect(refused).toMatchObject({ code: 1 })
  expect(refused.stderr).toContain('name a directory that is new or empty')

  const producer = pipeline.kafka.producer()
  await producer.connect()
  const garbage = Buffer.from('no Avro at all')
  await producer.send({ topic: pipeline.topic('agent.audit'), messages: [{ key: 'garbage', value: garbage }] })
  await producer.disconnect()
  const out = join(dir, 'with-garbage')
  const ended = await shunt('audit', 'export', '--out', out)
  expect(ended, ended.stderr).toMatchObject({ code: 0 })
  expect(ended.stdout).toContain('1 record cannot be decoded: kept as bytes')
  const bad = (await entriesOf(out)).filter(({ record }) => record === null)
  expect(bad).toMatchObject([{ value: garbage, problem: expect.stringContaining("Confluent's framing") }])
})
