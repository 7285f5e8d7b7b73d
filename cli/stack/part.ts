import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ShuntError } from '#lib/errors'
import { removePartRecord, serviceNames, writePartRecord, type PartName, type PartRecord } from './part-record.ts'
import { identifyProcess, isAlive, type ProcessIdentity } from './process-identity.ts'

export interface PartSpec {
  name: PartName
  /** @default name */
  id?: string | undefined
  command: string
  args: readonly string[]
  cwd: string
  env: Readonly<Record<string, string | undefined>>
  address: string
  logFile: string
  /** Where its record is kept. */
  runDir: string
  /** See `PartRecord`. @default '' */
  settings?: string
  /** True once it serves. Called again and again until then; may throw while it does not. */
  probe: () => Promise<boolean>
  /** @default 60_000 */
  readyTimeoutMs?: number
  /** SIGTERM to SIGKILL. @default 15_000 */
  stopGraceMs?: number
  signal?: AbortSignal | undefined
}

export interface Part {
  id: string
  name: PartName
  pid: number
  address: string
  logFile: string
  /** Resolves when the process has ended, with what it ended by; never rejects. */
  ended: Promise<string>
  /** SIGTERM, then SIGKILL after the grace, by default the part's own; resolves when it is gone. */
  stop(graceMs?: number): Promise<void>
  /** SIGKILL, as a crash would; resolves when it is gone. */
  kill9(): Promise<void>
}

const PROBE_INTERVAL_MS = 100

/**
 * Starts a process and waits until it serves. It leads a process group of its own, so that a terminal's Ctrl-C reaches
 * it only through its owner, in the right order. Throws SHUNT_SETUP_FAILED with the end of its log.
 */
export async function startPart(spec: PartSpec): Promise<Part> {
  const { name, id = name, address, logFile, runDir, settings = '', stopGraceMs = 15_000 } = spec
  spec.signal?.throwIfAborted()
  mkdirSync(dirname(logFile), { recursive: true })
  mkdirSync(spec.cwd, { recursive: true })
  const log = openSync(logFile, 'a')
  const child = spawn(spec.command, spec.args, {
    cwd: spec.cwd,
    env: spec.env,
    detached: true,
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`))
  })
  const identity = child.pid === undefined ? undefined : identifyProcess(child.pid)
  if (!identity) throw failure(`${id} did not start: ${await ended}`, logFile)
  writePartRecord(runDir, { id, name, process: identity, address, logFile, settings })
  // What is to outlive its command must not keep it from ending.
  child.unref()

  const end = async (graceMs: number) => {
    child.ref()
    await endProcess(identity, graceMs)
    await ended
    removePartRecord(runDir, id)
  }
  try {
    await untilReady(spec, ended)
  } catch (error) {
    await end(0)
    throw error
  }
  return {
    id,
    name,
    pid: identity.pid,
    address,
    logFile,
    ended,
    stop: (graceMs = stopGraceMs) => end(graceMs),
    kill9: () => end(0),
  }
}

async function untilReady(spec: PartSpec, ended: Promise<string>): Promise<void> {
  const { id = spec.name, logFile, readyTimeoutMs = 60_000 } = spec
  const deadline = performance.now() + readyTimeoutMs
  let outcome: string | undefined
  void ended.then((how) => (outcome = how))
  while (performance.now() < deadline) {
    spec.signal?.throwIfAborted()
    if (await spec.probe().catch(() => false)) return
    await sleep(PROBE_INTERVAL_MS)
    if (outcome !== undefined) throw failure(`${id} ended while it was starting (${outcome})`, logFile)
  }
  throw failure(`${id} was not ready after ${readyTimeoutMs / 1000} s`, logFile)
}

/** Ends a process, ours or an earlier command's. A pid that another process has got since is left alone. */
export async function endProcess(identity: ProcessIdentity, graceMs: number): Promise<void> {
  if (graceMs > 0) {
    if (isAlive(identity)) signalProcess(identity.pid, 'SIGTERM')
    await untilGone(identity, graceMs)
  }
  // The group: what it may have forked must not outlive it.
  if (isAlive(identity)) signalProcess(-identity.pid, 'SIGKILL')
  if (!(await untilGone(identity, 10_000)))
    throw new ShuntError('SHUNT_SETUP_FAILED', `process ${identity.pid} did not end after SIGKILL`)
}

/** Ends recorded processes of this or an earlier command: the services, then what they stand on. */
export async function endRecorded(runDir: string, records: readonly PartRecord[], graceMs: number): Promise<void> {
  for (const group of [records.filter(isService), records.filter((record) => !isService(record))])
    await Promise.all(
      group.map(async (record) => {
        await endProcess(record.process, graceMs)
        removePartRecord(runDir, record.id)
      }),
    )
}

function isService({ name }: PartRecord): boolean {
  return serviceNames.some((service) => service === name)
}

async function untilGone(identity: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  while (isAlive(identity)) {
    if (performance.now() > deadline) return false
    await sleep(25)
  }
  return true
}

function signalProcess(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

const LOG_TAIL_LINES = 15

function failure(what: string, logFile: string): ShuntError {
  let tail = ''
  try {
    tail = readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n')
  } catch {
    // No log: the message alone has to do.
  }
  return new ShuntError('SHUNT_SETUP_FAILED', `${what}; its log is ${logFile}${tail === '' ? '' : `:\n${tail}`}`)
}
