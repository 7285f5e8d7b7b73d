import { readKafkaSecurity, type KafkaSecurity } from '#lib/kafka-security'
import { startKafka, type LocalPartOptions } from './kafka.ts'
import type { Part } from './part.ts'
import { infrastructureNames, type InfrastructureName } from './part-record.ts'
import { replacements, runsLocally, type Env } from './parts-needed.ts'
import { startRedis } from './redis.ts'
import { startRegistry } from './registry.ts'
import { startInference } from './services.ts'

/** What every process of Shunt connects to. */
export interface StackAddresses {
  brokers: string[]
  /** Of a Kafka that was there before. */
  kafkaSecurity?: KafkaSecurity
  registryUrl: string
  redisUrl: string
}

export interface Infrastructure extends StackAddresses {
  /** The variables by which a service finds it all. */
  env: Record<string, string>
  /** Those that were started here. */
  parts: Part[]
  /** Ends those that were started here, after the grace or each one's own. */
  stop(graceMs?: number): Promise<void>
}

export interface InfrastructureOptions {
  /** See `stackDir`. */
  dir: string
  /** KAFKA_BROKERS, SCHEMA_REGISTRY_URL, REDIS_URL and SHUNT_BACKEND_URL replace what would be started. */
  env: Env
  /** Those that are asked for. @default all */
  names?: readonly InfrastructureName[]
  /** Ports that are taken where they are free. */
  preferredPorts?: Partial<Record<InfrastructureName, number>>
  signal?: AbortSignal | undefined
}

/** Starts them together, all or none. Throws SHUNT_SETUP_FAILED. */
export async function startInfrastructure(options: InfrastructureOptions): Promise<Infrastructure> {
  const { dir, env, names = infrastructureNames, preferredPorts = {} } = options
  const failed = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal
  const parts: Part[] = []

  const addressOf = async (name: InfrastructureName): Promise<string> => {
    if (!runsLocally(name, env)) return env[replacements[name]] ?? ''
    try {
      const part = await starters[name]({ dir, signal, preferredPort: preferredPorts[name] })
      parts.push(part)
      return part.address
    } catch (error) {
      failed.abort(error)
      throw error
    }
  }
  const stop = async (graceMs?: number) => {
    await Promise.all(parts.map((part) => part.stop(graceMs)))
  }
  const outcomes = await Promise.allSettled(
    names.map(async (name) => [replacements[name], await addressOf(name)] as const),
  )
  if (failed.signal.aborted) {
    await stop()
    throw options.signal?.aborted ? options.signal.reason : failed.signal.reason
  }
  const found = Object.fromEntries(outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])))
  return {
    brokers: (found[replacements.kafka] ?? '').split(',').map((broker) => broker.trim()),
    registryUrl: found[replacements.registry] ?? '',
    redisUrl: found[replacements.redis] ?? '',
    ...(!runsLocally('kafka', env) && { kafkaSecurity: readKafkaSecurity(env) }),
    env: found,
    parts,
    stop,
  }
}

const starters: Record<InfrastructureName, (options: LocalPartOptions) => Promise<Part>> = {
  kafka: startKafka,
  registry: startRegistry,
  redis: startRedis,
  inference: startInference,
}
