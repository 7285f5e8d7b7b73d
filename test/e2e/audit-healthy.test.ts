import { pino } from 'pino'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { createFindings } from '#lib/audit/findings'
import { openKafkaSource } from '#lib/audit/kafka-source'
import { readLaneMarks } from '#lib/audit/lane-marks'
import { verifyLog, type LogSummary } from '#lib/audit/verify-log'
import { createRegistry } from '#lib/events/registry'
import { createKafkaFactory } from '#lib/stream/kafka'
import { startPipeline, type Pipeline } from '../support/pipeline.ts'
import { makeStep, makeSteps, publishSteadily } from '../support/pipeline-steps.ts'
import { runShunt } from '../support/run-shunt.ts'

const log = pino({ level: 'silent' })
let pipeline: Pipeline
beforeAll(async () => {
  pipeline = await startPipeline({ stack: inject('stack'), partitions: 2 })
})
afterAll(() => pipeline?.stopAll())

/** Each command has to succeed. */
async function shunt(...args: string[]): Promise<void> {
  const { code, stderr } = await runShunt(pipeline.env, args)
  expect(code, `${args.join(' ')}: ${stderr}`).toBe(0)
}

/** As `shunt audit verify` does it. `strict`: nothing is open any more, and no record still to come. */
async function verify({ strict }: { strict: boolean }): Promise<LogSummary> {
  const kafka = createKafkaFactory({ log }, { brokers: [...inject('stack').brokers] })
  const { namespace, codec } = pipeline
  const findings = createFindings(20)
  const source = openKafkaSource(
    { kafka, log, codec, registry: createRegistry(inject('stack').registryUrl) },
    namespace,
  )
  const laneMarks = () => readLaneMarks({ kafka }, namespace, Date.now())
  const found = await verifyLog(source, {
    marks: (await laneMarks()).marks,
    committed: async () => (await laneMarks()).committed,
    report: findings.report,
    nowMs: () => Date.now() + (strict ? 120_000 : 0),
    ...(strict && { openForMs: 0 }),
  })
  expect(findings.kept.map(({ code, message }) => `${code}: ${message}`)).toEqual([])
  expect(found.given).toEqual([])
  return found
}

test('of a system that works nothing is found: while it writes, and after everything that operators do', async () => {
  const { client } = pipeline
  const load = publishSteadily(client, makeSteps(60, 'first'), 20)
  await pipeline.untilResults(5)
  await verify({ strict: false })
  await load

  // Published again, under an id that is taken, and of a tenant that nobody knows.
  await client.publish(makeSteps(1, 'first')[0]!)
  await client.publish(makeStep('first-1', { says: 'otherwise' }))
  await client.publish(makeStep('stranger', { tenantId: 'nobody' }))
  await shunt('cancel', '--tenant', 'acme', '--task', 'cancelled', '--reason', 'test', '--yes')
  await client.publish(makeStep('too-late', { taskId: 'cancelled' }))
  await pipeline.untilIdle()

  await pipeline.activatePolicy({ threshold: { pSuccessPpm: 500_000 } })
  await pipeline.applyTopics(3)
  await shunt('ledger', 'rebuild')
  const more = publishSteadily(client, makeSteps(40, 'second'), 20)
  await pipeline.untilResults(80)
  await pipeline.kill9('oss-pool', 0)
  await pipeline.restart('oss-pool', 0)
  await more
  await pipeline.untilIdle()

  await pipeline.drain('classifier', 0)
  const admin = pipeline.kafka.admin()
  await admin.connect()
  await admin.deleteGroups([`${pipeline.namespace}.classifier`])
  await admin.disconnect()
  await shunt('lanes', 'recover', '--reason', 'test')
  await pipeline.restart('classifier', 0)
  await Promise.all(makeSteps(10, 'third').map((step) => client.publish(step)))
  await pipeline.untilIdle()

  const { steps, compared, chains } = await verify({ strict: true })
  const results = await pipeline.collectResults()
  expect(steps).toMatchObject({ complete: results.length, duplicate: 1, open: 0, 'not verifiable': 0, wrong: 0 })
  expect(compared).toBe(chains)
})
