import { scorerOf } from '#lib/policy/scorer-choice'
import type { RuntimeConfig } from '#lib/config'
import { createRunDirectory } from '../stack/run-directory.ts'
import { startGuardian } from '../stack/guardian.ts'
import { stackEnvironment } from '../stack/local-stack.ts'
import { createPartWatch } from '../stack/part-watch.ts'
import type { Env } from '../stack/parts-needed.ts'
import { shuntDir } from '../stack/paths.ts'
import { removeKeepingLogs, runServices } from '../stack/run-services.ts'
import type { PlannedReplay } from './plan-replay.ts'

/** A place for a replay's processes and its file, gone with it; its guardian ends them however this process ends. */
export interface ReplayRoom extends AsyncDisposable {
  dir: string
  /** Aborts when a service ends that nobody told to. */
  failed: AbortSignal
  /** Starts one process of each service; resolves once all are ready. */
  start(env: Env, signal: AbortSignal): Promise<void>
  /** Ends them, drained. */
  stop(): Promise<void>
}

export async function openReplayRoom(namespace: string): Promise<ReplayRoom> {
  const dir = await createRunDirectory('replay')
  startGuardian(dir)
  const watch = createPartWatch()
  let stopServices = () => Promise.resolve()
  const stop = async () => {
    const stopping = stopServices
    stopServices = () => Promise.resolve()
    await stopping()
  }
  return {
    dir,
    failed: watch.failed,
    async start(env, signal) {
      stopServices = await runServices({ dir, env, signal, watch, graceMs: () => undefined })
    },
    stop,
    async [Symbol.asyncDispose]() {
      await stop()
      await removeKeepingLogs(dir, namespace)
    },
  }
}

/**
 * What the replay's services find in their environment, beside what `given`, this process's own, holds. Keys are taken out
 * of it unless frontier models are to be called: those that the pinned policy names for its providers, and whatever else is
 * called one, so that no other policy that is activated in the replay finds its own. What open models need stays.
 */
export function replayEnvironment(
  config: RuntimeConfig,
  { namespace, order, policy }: Pick<PlannedReplay, 'namespace' | 'order' | 'policy'>,
  given: Env,
): Env {
  const { frontier, providerKeys } = order
  const scorer = scorerOf(policy.policy)
  const asking = [...policy.policy.backends, ...(scorer.use === 'http' ? [scorer] : [])]
  const needed = new Set(asking.map(({ apiKeyEnv }) => apiKeyEnv))
  const keys = [...providerKeys, ...Object.keys(given).filter((name) => name.endsWith('_API_KEY'))]
  const withheld = frontier === 'on' ? [] : keys.filter((name) => !needed.has(name))
  return {
    ...Object.fromEntries(Object.entries(stackEnvironment(shuntDir)).filter(([name]) => !given[name])),
    KAFKA_BROKERS: config.brokers.join(','),
    SCHEMA_REGISTRY_URL: config.registryUrl,
    REDIS_URL: config.redisUrl,
    SHUNT_NAMESPACE: namespace,
    // One account has one limit: calls of the replay count with those of the live services.
    SHUNT_LIMITS_NAMESPACE: frontier === 'on' ? config.namespace : undefined,
    ...Object.fromEntries(withheld.map((name) => [name, undefined])),
  }
}
