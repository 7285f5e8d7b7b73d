import { startKafka } from './kafka.ts'
import type { Part } from './part.ts'
import { runsLocally, type Env, type InfrastructureName } from './parts-needed.ts'
import { startRedis } from './redis.ts'
import { startRegistry } from './registry.ts'

/** What everything else connects to. */
export interface StackAddresses {
  brokers: string[]
  registryUrl: string
  redisUrl: string
}

export interface Infrastructure extends StackAddresses {
  /** Those that were started here, in the order of starting. */
  parts: Part[]
  stop(): Promise<void>
}

export interface InfrastructureOptions {
  /** See `stackDir`. */
  dir: string
  /** KAFKA_BROKERS, SCHEMA_REGISTRY_URL and REDIS_URL replace what would be started. */
  env: Env
  signal?: AbortSignal | undefined
  preferredPorts?: Partial<Record<InfrastructureName, number>>
}

/** Kafka, registry and Redis: started together, all or none. Throws SHUNT_SETUP_FAILED. */
export async function startInfrastructure(options: InfrastructureOptions): Promise<Infrastructure> {
  const { dir, env, preferredPorts = {} } = options
  const failed = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal
  const parts: Part[] = []
  const start = async <P extends Part>(
    part: InfrastructureName,
    starter: (options: { dir: string; signal: AbortSignal; preferredPort?: number | undefined }) => Promise<P>,
  ): Promise<P | undefined> => {
    if (!runsLocally(part, env)) return undefined
    try {
      const started = await starter({ dir, signal, preferredPort: preferredPorts[part] })
      parts.push(started)
      return started
    } catch (error) {
      failed.abort(error)
      throw error
    }
  }
  const stop = () => stopParts(parts)
  const starting = [start('kafka', startKafka), start('registry', startRegistry), start('redis', startRedis)] as const
  const outcomes = await Promise.allSettled(starting)
  if (outcomes.some(({ status }) => status === 'rejected')) {
    await stop()
    throw options.signal?.aborted ? options.signal.reason : failed.signal.reason
  }
  const [kafka, registry, redis] = await Promise.all(starting)
  return {
    brokers: kafka?.brokers ?? (env['KAFKA_BROKERS'] ?? '').split(',').map((broker) => broker.trim()),
    registryUrl: registry?.registryUrl ?? env['SCHEMA_REGISTRY_URL'] ?? '',
    redisUrl: redis?.redisUrl ?? env['REDIS_URL'] ?? '',
    parts,
    stop,
  }
}

async function stopParts(parts: Part[]): Promise<void> {
  await Promise.all(parts.map((part) => part.stop()))
}
