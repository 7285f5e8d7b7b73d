import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startGuardian } from '../../cli/stack/guardian.ts'
import type { PartStatus } from '../../cli/stack/local-stack.ts'
import { infrastructureNames, serviceNames } from '../../cli/stack/part-record.ts'
import { partsDir, repositoryDir } from '../../cli/stack/paths.ts'
import { isAlive } from '../../cli/stack/process-identity.ts'
import { createRunDirectory, removeRunDirectory } from '../../cli/stack/run-directory.ts'
import { processesWith } from '../support/processes.ts'
import { waitUntil } from '../support/wait-until.ts'

const main = join(repositoryDir, 'cli', 'main.ts')
const mark = randomUUID()
let dir: string

beforeAll(async () => {
  // A stack of its own, with what was downloaded for all; where this process is killed it ends all the same.
  dir = await createRunDirectory('test')
  startGuardian(dir)
  symlinkSync(partsDir, join(dir, 'parts'))
})
afterAll(() => removeRunDirectory(dir))

interface Ended {
  code: number
  stdout: string
  stderr: string
}

function shunt(args: string[], more: { env?: Record<string, string>; input?: string } = {}): Promise<Ended> {
  const env = {
    ...process.env,
    SHUNT_DIR: dir,
    SHUNT_NAMESPACE: '',
    // As unset: nothing that already runs is used.
    KAFKA_BROKERS: '',
    SCHEMA_REGISTRY_URL: '',
    REDIS_URL: '',
    SHUNT_BACKEND_URL: '',
    UP_TEST_MARK: mark,
    ...more.env,
  }
  const { promise, resolve } = Promise.withResolvers<Ended>()
  const child = execFile(process.execPath, [main, ...args], { env }, (error, stdout, stderr) =>
    resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
  )
  child.stdin?.end(more.input ?? '')
  return promise
}

async function partsOf(args: string[], env: Record<string, string> = {}): Promise<PartStatus[]> {
  const { code, stdout, stderr } = await shunt([...args, '--json'], { env })
  expect(code, stderr).toBe(0)
  return JSON.parse(stdout) as PartStatus[]
}
const pidsOf = (parts: readonly PartStatus[], names: readonly string[]) =>
  parts.filter(({ name }) => names.includes(name)).map(({ process: { pid } }) => pid)

test('up starts the local stack and leaves it running, down ends all of it', { timeout: 240_000 }, async () => {
  const parts = await partsOf(['up', '--partitions', '1'])
  expect(parts.map(({ name, answers }) => [name, answers])).toEqual(
    [...infrastructureNames, ...serviceNames].map((name) => [name, true]),
  )

  // Another command finds it without being told where it is.
  const line = {
    custom_id: 'one',
    method: 'POST',
    url: '/v1/chat/completions',
    body: { messages: [{ role: 'user', content: 'Say yes.' }], max_tokens: 2 },
  }
  const published = await shunt(['publish', '-', '--tenant', 'acme-batch', '--wait'], { input: JSON.stringify(line) })
  expect(published).toMatchObject({ code: 0, stdout: expect.stringContaining('1 step published, 1 result') })

  const again = await partsOf(['up'])
  expect(pidsOf(again, infrastructureNames)).toEqual(pidsOf(parts, infrastructureNames))
  expect(pidsOf(again, serviceNames)).toEqual(pidsOf(parts, serviceNames))
  // A service follows settings that changed; what holds the data is left alone.
  const changed = await partsOf(['up'], { SHUNT_LOG_LEVEL: 'warn' })
  expect(pidsOf(changed, infrastructureNames)).toEqual(pidsOf(parts, infrastructureNames))
  for (const pid of pidsOf(changed, serviceNames)) expect(pidsOf(parts, serviceNames)).not.toContain(pid)

  if (process.platform === 'linux') expect(processesWith(mark)).not.toHaveLength(0)
  const stopped = await partsOf(['down'])
  expect(stopped.map(({ id }) => id).toSorted()).toEqual(changed.map(({ id }) => id).toSorted())
  for (const { process: identity } of stopped) expect(isAlive(identity)).toBe(false)
  await waitUntil(() => processesWith(mark).length === 0, 'every process to be gone', 10_000)
  expect(await shunt(['down'])).toMatchObject({ code: 0, stdout: 'nothing runs\n' })
})
