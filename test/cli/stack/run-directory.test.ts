import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { writePartRecord } from '../../../cli/stack/part-record.ts'
import { repositoryDir, stackDir } from '../../../cli/stack/paths.ts'
import { identifyProcess, isAlive, type ProcessIdentity } from '../../../cli/stack/process-identity.ts'
import { createRunDirectory, sweepRunDirectories } from '../../../cli/stack/run-directory.ts'

let parent: string
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'shunt-runs-'))
})
afterEach(() => rmSync(parent, { recursive: true, force: true }))

/** A process that stands for a part of a run: it leads its own group, as parts do. */
function spawnPart(): ProcessIdentity {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 60_000)'], { detached: true, stdio: 'ignore' })
  const identity = identifyProcess(child.pid ?? 0)
  if (!identity) throw new Error('the part did not start')
  onTestFinished(() => void (isAlive(identity) && child.kill('SIGKILL')))
  return identity
}

function recordPart(dir: string, process: ProcessIdentity): void {
  writePartRecord(stackDir(dir).run, {
    id: 'kafka',
    name: 'kafka',
    process,
    address: '127.0.0.1:1',
    logFile: 'kafka.log',
    settings: '',
  })
}

test('what a killed run left is ended and removed by the next, a living run is left alone', async () => {
  const dead = join(parent, 'start-1-abc')
  mkdirSync(dead)
  writeFileSync(join(dead, 'owner.json'), JSON.stringify({ pid: process.pid, startedAt: 'another boot:1' }))
  const orphan = spawnPart()
  recordPart(dead, orphan)

  const living = await createRunDirectory('start', parent)
  const part = spawnPart()
  recordPart(living, part)

  await sweepRunDirectories(parent)
  expect(isAlive(orphan)).toBe(false)
  expect(existsSync(dead)).toBe(false)
  expect(isAlive(part)).toBe(true)
  expect(existsSync(living)).toBe(true)
})

test('a directory that is being made has no owner yet and is not taken for a dead one', async () => {
  mkdirSync(join(parent, '.new-abc'))
  await sweepRunDirectories(parent)
  expect(existsSync(join(parent, '.new-abc'))).toBe(true)
})

test('the guardian ends the parts of a run whose owner was killed', async () => {
  const owner = `
    import { createRunDirectory } from '${repositoryDir}/cli/stack/run-directory.ts'
    import { startGuardian } from '${repositoryDir}/cli/stack/guardian.ts'
    const dir = await createRunDirectory('test', ${JSON.stringify(parent)})
    startGuardian(dir)
    console.log(dir)
    setInterval(() => {}, 60_000)`
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', owner], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const dir = line.toString().trim()
  const part = spawnPart()
  recordPart(dir, part)

  child.kill('SIGKILL')
  await vi.waitFor(() => expect(isAlive(part)).toBe(false), { timeout: 10_000 })
  await vi.waitFor(() => expect(existsSync(dir)).toBe(false), { timeout: 10_000 })
})
