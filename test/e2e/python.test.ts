import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { pino } from 'pino'
import { readRange } from '#lib/client/topic-range'
import { parseFeedback } from '#lib/events/parse-step'
import { createKeyFile } from '#lib/erasure/key-files'
import { isSealed } from '#lib/erasure/sealed-text'
import type { StepFeedback } from '#lib/events/types.generated'
import { validateFeedback } from '#lib/events/validate-feedback'
import { createKafkaFactory } from '#lib/stream/kafka'
import { startPipeline, type Pipeline } from '../support/pipeline.ts'
import { tenantId } from '../support/pipeline-steps.ts'
import { pythonWith } from '../support/python.ts'

const samples = join(import.meta.dirname, '..', '..', 'samples', 'python')

let pipeline: Pipeline
let python: string
const keysDir = mkdtempSync(join(tmpdir(), 'shunt-keys-'))

beforeAll(async () => {
  python = await pythonWith(join(samples, 'requirements.txt'))
  await createKeyFile(keysDir, 'globex', Date.now())
  const keys = { SHUNT_DATA_KEYS: keysDir }
  pipeline = await startPipeline({
    stack: inject('stack'),
    serviceEnv: { classifier: keys, 'oss-pool': keys, frontier: keys },
  })
}, 400_000)
afterAll(async () => {
  await pipeline?.stopAll()
  rmSync(keysDir, { recursive: true })
})

async function publishAndRead(...args: string[]): Promise<Record<string, unknown>[]> {
  const given = [join(samples, 'publish_and_read.py'), '--steps', '8', '--timeout', '60', ...args]
  const { stdout } = await promisify(execFile)(python, given, {
    env: { ...process.env, ...pipeline.env, PYTHONDONTWRITEBYTECODE: '1' },
  })
  const lines = stdout.trimEnd().split('\n')
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
}

test('steps and feedback of confluent-kafka, Avro and JSON, are taken and its deserialiser reads the results', async () => {
  const results = await publishAndRead('--tenant', tenantId, '--feedback')
  expect(new Set(results.map(({ stepId }) => stepId)).size).toBe(8)
  for (const result of results)
    expect(result).toMatchObject({
      status: 'completed',
      tier: 'oss',
      metadata: { client: 'confluent-kafka' },
      text: expect.any(String),
    })

  const feedback: StepFeedback[] = []
  const log = pino({ level: 'silent' })
  const factory = createKafkaFactory({ log }, { brokers: inject('stack').brokers })
  await readRange(
    { kafka: factory, log },
    {
      topics: [pipeline.topic('agent.feedback')],
      from: 'beginning',
      onRecord: async (record) => void feedback.push(await parseFeedback(record, pipeline.codec)),
    },
  )
  expect(feedback.map(({ stepId, taskId }) => `${taskId} ${stepId}`).toSorted()).toEqual(
    results.map(({ stepId, taskId }) => `${String(taskId)} ${String(stepId)}`).toSorted(),
  )
  for (const each of feedback) expect(() => validateFeedback(each)).not.toThrow()
})

test('steps that jwcrypto sealed are answered, and it opens the answers that we sealed', async () => {
  const results = await publishAndRead('--tenant', 'globex', '--keys', keysDir)
  for (const result of results) expect(result).toMatchObject({ status: 'completed', text: 'an open answer' })
  const mine = (await pipeline.collectResults()).filter((result) => result.tenantId === 'globex')
  expect(mine.map(({ answer }) => isSealed(answer!))).toEqual(results.map(() => true))
})
