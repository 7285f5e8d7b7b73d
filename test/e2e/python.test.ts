import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
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

test('steps of confluent-kafka, Avro and JSON, are processed and its deserialiser reads the results', async () => {
  const { stdout } = await promisify(execFile)(
    python,
    [join(samples, 'publish_and_read.py'), '--tenant', tenantId, '--steps', '8', '--timeout', '60'],
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
})
