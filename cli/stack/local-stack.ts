import { connect } from 'node:net'
import { acquireLock } from '../../scripts/lock.mjs'
import { installStack } from './install.ts'
import { endRecorded } from './part.ts'
import { infrastructureNames, readPartRecords, serviceNames, type PartRecord, type ServiceName } from './part-record.ts'
import { replacements, type Env } from './parts-needed.ts'
import { stackDir } from './paths.ts'
import { settingsDigest, startService } from './services.ts'
import { startInfrastructure, type Infrastructure } from './stack.ts'

// The stack of `shunt up`: it outlives the command that started it, and other commands find it by its records.

/** Those of lib/config.ts and samples/policy.yaml, so that a program finds the stack without being told. */
const preferredPorts = { kafka: 19_092, registry: 18_081, redis: 16_379, inference: 18_090 }
const STOP_GRACE_MS = 30_000
const ANSWER_TIMEOUT_MS = 1_000

export interface LocalStackOptions {
  dir: string
  env: Env
  signal: AbortSignal
  say: (line: string) => void
  /** What has to be done before the services start: schemas, topics, the policy. */
  prepare: (infrastructure: Infrastructure) => Promise<void>
}

/**
 * Starts what does not run of the stack and leaves alone what does; a service whose settings changed is started again.
 * On an error what this call started is ended. Returns the environment that points at it all.
 */
export async function startLocalStack({ dir, env, signal, say, prepare }: LocalStackOptions): Promise<Env> {
  const lock = await acquireLock(dir, () => say('waiting for another command that starts or stops this stack …'))
  const started: { stop(): Promise<void> }[] = []
  try {
    await installStack({ env, signal, say })
    const replaced = { ...stackEnvironment(dir), ...withoutEmpty(env) }
    const infrastructure = await startInfrastructure({ dir, env: replaced, preferredPorts, signal })
    started.push(infrastructure)
    for (const part of infrastructure.parts) say(`started ${part.name} at ${part.address} (pid ${part.pid})`)
    await prepare(infrastructure)

    const serviceEnv = { ...infrastructure.env, SHUNT_NAMESPACE: env['SHUNT_NAMESPACE'] ?? '' }
    const starts = serviceNames.map(async (name) => {
      if (await keepsRunning(dir, name, serviceEnv)) return
      const service = await startService(name, { dir, env: serviceEnv, signal })
      started.push(service)
      say(`started ${name} at ${service.address} (pid ${service.pid})`)
    })
    for (const outcome of await Promise.allSettled(starts)) if (outcome.status === 'rejected') throw outcome.reason
    return serviceEnv
  } catch (error) {
    for (const part of started.toReversed()) await part.stop()
    throw error
  } finally {
    await lock.release()
  }
}

/** Ends all of it, the services first, so that they drain. Returns what was ended. */
export async function stopLocalStack(dir: string): Promise<PartRecord[]> {
  const lock = await acquireLock(dir)
  try {
    const { run } = stackDir(dir)
    const records = readPartRecords(run)
    await endRecorded(run, records, STOP_GRACE_MS)
    return records
  } finally {
    await lock.release()
  }
}

export interface PartStatus extends PartRecord {
  /** Whether it takes connections. */
  answers: boolean
}

/** What runs of the stack, in the order of starting. */
export function localStackStatus(dir: string): Promise<PartStatus[]> {
  const records = readPartRecords(stackDir(dir).run)
  return Promise.all(records.map(async (record) => ({ ...record, answers: await takesConnections(record.address) })))
}

/** The variables that point at the parts that run, as a user would set them for parts of their own. */
export function stackEnvironment(dir: string): Record<string, string> {
  const running = readPartRecords(stackDir(dir).run)
  return Object.fromEntries(
    running.flatMap(({ name, address }) =>
      infrastructureNames.flatMap((part) => (part === name ? [[replacements[part], address] as const] : [])),
    ),
  )
}

/** True for a service that runs with these settings; one that runs with others is ended. */
async function keepsRunning(dir: string, name: ServiceName, env: Env): Promise<boolean> {
  const { run } = stackDir(dir)
  const record = readPartRecords(run).find(({ id }) => id === name)
  if (record?.settings === settingsDigest(env)) return true
  if (record) await endRecorded(run, [record], STOP_GRACE_MS)
  return false
}

function withoutEmpty(env: Env): Env {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''))
}

/** `address` is host:port or a URL with a port. */
function takesConnections(address: string): Promise<boolean> {
  const { hostname: host, port } = new URL(address.includes('://') ? address : `tcp://${address}`)
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port), timeout: ANSWER_TIMEOUT_MS })
    const end = (answers: boolean) => {
      socket.destroy()
      resolve(answers)
    }
    socket.once('connect', () => end(true))
    socket.once('timeout', () => end(false))
    socket.once('error', () => end(false))
  })
}
