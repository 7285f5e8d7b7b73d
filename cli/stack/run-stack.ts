import { randomBytes } from 'node:crypto'
import type { Logger } from '#lib/telemetry/logger'
import { clearNamespace } from './clear-namespace.ts'
import { startGuardian } from './guardian.ts'
import { stackEnvironment } from './local-stack.ts'
import { infrastructureNames, serviceNames, type InfrastructureName } from './part-record.ts'
import { createPartWatch } from './part-watch.ts'
import { runsLocally, type Env } from './parts-needed.ts'
import { shuntDir } from './paths.ts'
import { prepareStack } from './prepare.ts'
import { createRunDirectory } from './run-directory.ts'
import { removeKeepingLogs, runServices } from './run-services.ts'
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
  const watch = createPartWatch()
  const { failed } = watch
  const starting = AbortSignal.any([signal, failed])
  // Nobody waits for the answers of a run that was interrupted, and its data goes with it.
  const graceMs = () => (signal.aborted ? INTERRUPTED_GRACE_MS : undefined)

  const dir = await createRunDirectory('start')
  startGuardian(dir)
  await using undo = new AsyncDisposableStack()
  undo.defer(() => removeKeepingLogs(dir, 'start'))
  try {
    const found = { ...stackEnvironment(shuntDir), ...env }
    const missing = infrastructureNames.filter((name) => runsLocally(name, found))
    if (missing.length > 0) say(`starting ${missing.map((name) => spoken[name]).join(', ')} …`)
    const infrastructure = await startInfrastructure({ dir, env: found, signal: starting })
    undo.defer(() => infrastructure.stop(graceMs()))
    for (const part of infrastructure.parts) watch.watch(part)
    undo.defer(() => clearShared(infrastructure, namespace, log))

    await prepareStack(infrastructure, { namespace, policyFile, log })
    starting.throwIfAborted()

    say(`starting ${serviceNames.join(', ')} …`)
    const serviceEnv = { ...infrastructure.env, SHUNT_NAMESPACE: namespace }
    undo.defer(await runServices({ dir, env: serviceEnv, signal: starting, watch, graceMs }))

    const { brokers, registryUrl, redisUrl } = infrastructure
    const disposal = undo.move()
    return {
      addresses: { brokers, registryUrl, redisUrl },
      namespace,
      failed,
      [Symbol.asyncDispose]: () => disposal.disposeAsync(),
    }
  } catch (error) {
    // What broke because a part ended is told by that part's end.
    throw failed.aborted ? failed.reason : error
  }
}

/** Of parts that others use only this run's namespace is removed; its own ones go with all they hold. */
async function clearShared(infrastructure: Infrastructure, namespace: string, log: Logger): Promise<void> {
  const own = new Set(infrastructure.parts.map(({ name }) => name))
  if (own.has('kafka') && own.has('redis')) return
  await clearNamespace(infrastructure, namespace, log).catch((err: unknown) =>
    log.warn({ err, namespace }, 'the namespace of this run could not be removed'),
  )
}
