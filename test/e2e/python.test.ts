import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { pino } from 'pino'
import { readRange } from '#lib/client/topic-range'
import { parseFeedback } from '#lib/events/parse-step'
import type { StepFeedback } from '#lib/events/types.generated'
import { validateFeedback } from '#lib/events/validate-feedback'
import { createKafkaFactory } from '#lib/stream/kafka'
import { startPipeline, type Pipeline } from '../support/pipeline.ts'
import { tenantId } from '../support/pipeline-steps.ts'
import { pythonWith } from '../support/python.ts'

const samples = join(import.meta.dirname, '..', '..', 'samples', 'python')

let pipeline: Pipeline
let python: string

beforeAll(async () => {
  python = await pythonWith(join(samples, 'requirements.txt'))
  pipeline = await startPipeline({ stack: inject('stack') })
}, 400_000)
afterAll(() => pipeline?.stopAll())

test('steps and feedback of confluent-kafka, Avro and JSON, are taken and its deserialiser reads the results', async () => {
  const { stdout } = await promisify(execFile)(
    python,
    [join(samples, 'publish_and_read.py'), '--tenant', tenantId, '--steps', '8', '--timeout', '60', '--feedback'],
    { env: { ...process.env, ...pipeline.env } },
  )
  const results = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
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
