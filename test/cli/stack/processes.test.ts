import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { endProcess, startPart, type PartSpec } from '../../../cli/stack/part.ts'
import { readPartRecords, writePartRecord, type PartRecord } from '../../../cli/stack/part-record.ts'
import { identifyProcess, isAlive, type ProcessIdentity } from '../../../cli/stack/process-identity.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'shunt-processes-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const waitForever = 'setInterval(() => {}, 60_000)'
const ignoreTerm = `process.on('SIGTERM', () => {}); require('fs').writeFileSync('up', ''); ${waitForever}`

function spec(script: string, more: Partial<PartSpec> = {}): PartSpec {
  return {
    name: 'redis',
    command: process.execPath,
    args: ['-e', script],
    cwd: dir,
    env: process.env,
    address: '127.0.0.1:1',
    logFile: join(dir, 'log', 'part.log'),
    runDir: join(dir, 'run'),
    probe: async () => true,
    ...more,
  }
}

function record(process: ProcessIdentity, more: Partial<PartRecord> = {}): PartRecord {
  return { id: 'kafka', name: 'kafka', process, address: '127.0.0.1:1', logFile: 'kafka.log', settings: '', ...more }
}

function ownIdentity(): ProcessIdentity {
  const identity = identifyProcess(process.pid)
  if (!identity) throw new Error('a process finds itself')
  return identity
}

test('a process is alive until it ends, and a process that was not reaped counts as ended', async () => {
  const child = spawn(process.execPath, ['-e', waitForever])
  onTestFinished(() => void child.kill('SIGKILL'))
  const identity = identifyProcess(child.pid ?? 0)
  expect(identity && isAlive(identity)).toBe(true)
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(identity && isAlive(identity)).toBe(false)
  expect(identifyProcess(child.pid ?? 0)).toBeUndefined()
})

test('a pid that another process has got since is not taken for the process that was recorded', async () => {
  const reused: ProcessIdentity = { pid: process.pid, startedAt: 'another boot:1' }
  expect(isAlive(reused)).toBe(false)
  // It would end this very process otherwise.
  await endProcess(reused, 1_000)
})

test('records of processes that are gone are removed, those that live are kept in the order of starting', () => {
  writePartRecord(dir, record(ownIdentity(), { id: 'frontier', name: 'frontier' }))
  writePartRecord(dir, record(ownIdentity()))
  writePartRecord(dir, record({ pid: process.pid, startedAt: 'another boot:1' }, { id: 'redis', name: 'redis' }))
  expect(readPartRecords(dir).map(({ id }) => id)).toEqual(['kafka', 'frontier'])
  expect(readdirSync(dir)).not.toContain('redis.json')
})

test('a record that is damaged is removed, not fatal', () => {
  writeFileSync(join(dir, 'kafka.json'), '{"name": "kaf')
  expect(readPartRecords(dir)).toEqual([])
  expect(readdirSync(dir)).toEqual([])
})

test('a started part has a record, a log and a process of its own group; stop ends all three', async () => {
  const part = await startPart(spec(`console.log('hello'); ${waitForever}`))
  const [found] = readPartRecords(join(dir, 'run'))
  expect(found).toMatchObject({ id: 'redis', process: { pid: part.pid } })
  await part.stop()
  expect(await part.ended).toBe('SIGTERM')
  expect(readPartRecords(join(dir, 'run'))).toEqual([])
})

test('a part that ignores SIGTERM is killed after its grace', async () => {
  const part = await startPart(
    spec(ignoreTerm, { stopGraceMs: 50, probe: async () => readdirSync(dir).includes('up') }),
  )
  await part.stop()
  expect(await part.ended).toBe('SIGKILL')
})

test('a part that ends while it starts is an error with the end of its log', async () => {
  const failing = spec(`console.error('no such volume'); process.exit(3)`, { probe: async () => false })
  await expect(startPart(failing)).rejects.toThrow(
    /redis ended while it was starting \(exit code 3\)[^]*no such volume/,
  )
  expect(readPartRecords(join(dir, 'run'))).toEqual([])
})

test('a command that does not exist is an error, not an unhandled event', async () => {
  await expect(startPart(spec('', { command: join(dir, 'missing') }))).rejects.toThrow(/redis did not start: .*ENOENT/)
})

test('a part that is never ready is ended and reported', async () => {
  const starting = startPart(spec(waitForever, { probe: async () => false, readyTimeoutMs: 50 }))
  await expect(starting).rejects.toThrow('redis was not ready after 0.05 s')
  expect(readPartRecords(join(dir, 'run'))).toEqual([])
})

test('an abort while a part starts ends it', async () => {
  const stop = new AbortController()
  const starting = startPart(spec(waitForever, { probe: async () => false, signal: stop.signal }))
  const run = join(dir, 'run')
  await vi.waitFor(() => expect(readPartRecords(run)).toHaveLength(1))
  stop.abort(new Error('the user gave up'))
  await expect(starting).rejects.toThrow('the user gave up')
  expect(readPartRecords(run)).toEqual([])
})
