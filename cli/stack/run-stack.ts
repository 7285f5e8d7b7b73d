import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { ShuntError } from '#lib/errors'
import type { Logger } from '#lib/telemetry/logger'
import { clearNamespace } from './clear-namespace.ts'
import { startGuardian } from './guardian.ts'
import { stackEnvironment } from './local-stack.ts'
import type { Part } from './part.ts'
import { infrastructureNames, serviceNames, type InfrastructureName } from './part-record.ts'
import { runsLocally, type Env } from './parts-needed.ts'
import { shuntDir, stackDir } from './paths.ts'
import { prepareStack } from './prepare.ts'
import { createRunDirectory, removeRunDirectory } from './run-directory.ts'
import { startService } from './services.ts'
import { startInfrastructure, type Infrastructure, type StackAddresses } from './stack.ts'

export interface RunStackOptions {
  /** Names parts to be used instead of own ones; those of a stack that `shunt up` started are used, too. */
  env: Env
  policyFile: string
  signal: AbortSignal
  say: (line: string) => void
  log: Logger
}

/** A whole stack that lives as long as its owner, in a namespace of its own. Disposing of it ends what it started. */
export interface RunStack extends AsyncDisposable {
  addresses: StackAddresses
  namespace: string
  /** Aborts when a part ends that nobody told to, with a SHUNT_SETUP_FAILED that names its log. */
  failed: AbortSignal
}

const INTERRUPTED_GRACE_MS = 2_000
const spoken = {
  kafka: 'Kafka',
  registry: 'the schema registry',
  redis: 'Redis',
  inference: 'the open model',
} as const satisfies Record<InfrastructureName, string>

/** Throws SHUNT_SETUP_FAILED and ends what it had started. */
export async function openRunStack(options: RunStackOptions): Promise<RunStack> {
  const { env, policyFile, signal, say, log } = options
  const namespace = `start-${randomBytes(4).toString('hex')}`
  const failed = new AbortController()
  const starting = AbortSignal.any([signal, failed.signal])
  // Nobody waits for the answers of a run that was interrupted, and its data goes with it.
  const graceMs = () => (signal.aborted ? INTERRUPTED_GRACE_MS : undefined)
  let ending = false
  const watch = async (part: Part) => {
    const how = await part.ended
    const message = `${part.id} ended by itself (${how}); its log: ${part.logFile}`
    if (!ending) failed.abort(new ShuntError('SHUNT_SETUP_FAILED', message))
  }

  const dir = await createRunDirectory('start')
  startGuardian(dir)
  await using undo = new AsyncDisposableStack()
  undo.defer(() => removeKeepingLogs(dir))
  try {
    const found = { ...stackEnvironment(shuntDir), ...env }
    const missing = infrastructureNames.filter((name) => runsLocally(name, found))
    if (missing.length > 0) say(`starting ${missing.map((name) => spoken[name]).join(', ')} …`)
    const infrastructure = await startInfrastructure({ dir, env: found, signal: starting })
    undo.defer(() => infrastructure.stop(graceMs()))
    for (const part of infrastructure.parts) void watch(part)
    undo.defer(() => clearShared(infrastructure, namespace, log))

    await prepareStack(infrastructure, { namespace, policyFile, log })
    starting.throwIfAborted()

    say(`starting ${serviceNames.join(', ')} …`)
    const services: Part[] = []
    undo.defer(() => endAll(services, graceMs()))
    const serviceEnv = { ...infrastructure.env, SHUNT_NAMESPACE: namespace }
    const starts = serviceNames.map(async (name) => {
      const service = await startService(name, { dir, env: serviceEnv, signal: starting })
      services.push(service)
      void watch(service)
    })
    // All of them come to an end before any is stopped.
    for (const outcome of await Promise.allSettled(starts)) if (outcome.status === 'rejected') throw outcome.reason
    undo.defer(() => {
      ending = true
    })

    const { brokers, registryUrl, redisUrl } = infrastructure
    const disposal = undo.move()
    return {
      addresses: { brokers, registryUrl, redisUrl },
      namespace,
      failed: failed.signal,
      [Symbol.asyncDispose]: () => disposal.disposeAsync(),
    }
  } catch (error) {
    // What broke because a part ended is told by that part's end.
    throw failed.signal.aborted ? failed.signal.reason : error
  }
}

async function endAll(parts: readonly Part[], graceMs: number | undefined): Promise<void> {
  await Promise.all(parts.map((part) => part.stop(graceMs)))
}

/** Of parts that others use only this run's namespace is removed; its own ones go with all they hold. */
async function clearShared(infrastructure: Infrastructure, namespace: string, log: Logger): Promise<void> {
  const own = new Set(infrastructure.parts.map(({ name }) => name))
  if (own.has('kafka') && own.has('redis')) return
  await clearNamespace(infrastructure, namespace, log).catch((err: unknown) =>
    log.warn({ err, namespace }, 'the namespace of this run could not be removed'),
  )
}

/** The logs of the last run are in .shunt/log/start. */
async function removeKeepingLogs(dir: string): Promise<void> {
  const { log } = stackDir(dir)
  const kept = join(shuntDir, 'log', 'start')
  if (existsSync(log)) {
    rmSync(kept, { recursive: true, force: true })
    mkdirSync(join(shuntDir, 'log'), { recursive: true })
    renameSync(log, kept)
  }
  await removeRunDirectory(dir)
}
