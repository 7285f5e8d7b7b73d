import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { repositoryDir } from '../../cli/stack/paths.ts'
import type { Simulator } from '../simulators/model-server.ts'
import { startOpenAiSimulator } from '../simulators/openai-server.ts'
import { processesWith } from '../support/processes.ts'
import { waitUntil } from '../support/wait-until.ts'

const dir = mkdtempSync(join(tmpdir(), 'shunt-start-test-'))
let backend: Simulator
beforeAll(async () => {
  // What the client sends where the policy names no key, as the sample policy does.
  backend = await startOpenAiSimulator({ apiKey: 'none', latencyMs: 5 })
})
afterAll(async () => {
  await backend?.stop()
  rmSync(dir, { recursive: true, force: true })
})

interface Ended {
  code: number
  stdout: string
  stderr: string
}

function start(args: string[], env: Record<string, string>): Promise<Ended> {
  return new Promise((resolve) => {
    const script = join(repositoryDir, 'scripts', 'start.ts')
    execFile(process.execPath, [script, ...args], { env: { ...process.env, ...env } }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    )
  })
}

function linesOf(path: string): { stepId: string }[] {
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  return lines.map((line) => JSON.parse(line) as { stepId: string })
}

test('npm start gives every sample step one result, says so, and leaves no process behind', async () => {
  const { brokers, registryUrl, redisUrl } = inject('stack')
  const results = join(dir, 'results.jsonl')
  const mark = randomUUID()
  const running = start(['--results', results], {
    KAFKA_BROKERS: brokers.join(','),
    SCHEMA_REGISTRY_URL: registryUrl,
    REDIS_URL: redisUrl,
    SHUNT_BACKEND_URL: `${backend.url}/v1`,
    OPENAI_API_KEY: '',
    ANTHROPIC_API_KEY: '',
    START_TEST_MARK: mark,
  })
  if (process.platform === 'linux')
    await waitUntil(() => processesWith(mark).length > 3, 'the services to start', 60_000)
  const { code, stdout, stderr } = await running

  expect(stderr).toContain('every step has one result')
  expect(code).toBe(0)
  const samples = readdirSync(join(repositoryDir, 'samples')).filter((name) => name.endsWith('.jsonl'))
  const published = samples.flatMap((name) => linesOf(join(repositoryDir, 'samples', name)))
  expect(
    linesOf(results)
      .map(({ stepId }) => stepId)
      .toSorted(),
  ).toEqual(published.map(({ stepId }) => stepId).toSorted())
  expect(stdout).toContain(String(published.length))
  expect(backend.arrivals.length).toBeGreaterThan(published.length / 2)
  if (process.platform === 'linux') await waitUntil(() => processesWith(mark).length === 0, 'every process to be gone')
})
