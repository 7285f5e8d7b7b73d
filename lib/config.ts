import { hostname } from 'node:os'
import { ShuntError } from './errors.ts'
import { isNamespace } from './events/namespace.ts'
import { readKafkaSecurity, type KafkaSecurity } from './kafka-security.ts'

/** What every process reads from its environment. */
export interface RuntimeConfig {
  brokers: string[]
  kafkaSecurity: KafkaSecurity
  registryUrl: string
  redisUrl: string
  /** Prefix of topics, groups and Redis keys; empty for none. */
  namespace: string
  /** Directory of the tenants' data keys; null where texts are plain (docs/erasure.md). */
  dataKeysDir: string | null
}

export interface ServiceConfig extends RuntimeConfig {
  /** Stable over restarts, unique among replicas: keeps lanes where they were. */
  replica: string
  /** For /healthz, /readyz and /metrics; 0 picks a free one. */
  httpPort: number
  httpHost: string
  logLevel: string
  /** SIGTERM to the end of the drain. */
  shutdownGraceMs: number
  /** SIGTERM to a hard exit. */
  shutdownForceMs: number
}

type Env = Readonly<Record<string, string | undefined>>

/** Throws SHUNT_CONFIG_INVALID. Defaults are those of the local stack. */
export function readRuntimeConfig(env: Env): RuntimeConfig {
  const namespace = env['SHUNT_NAMESPACE'] ?? ''
  if (!isNamespace(namespace))
    throw new ShuntError(
      'SHUNT_CONFIG_INVALID',
      `SHUNT_NAMESPACE=${namespace}: use a-z, 0-9 and -, at most 41 characters; of a replay, its own name`,
    )
  const brokers = (env['KAFKA_BROKERS'] ?? '127.0.0.1:19092').split(',').map((broker) => broker.trim())
  for (const broker of brokers)
    if (!/^\S+:\d+$/.test(broker))
      throw new ShuntError('SHUNT_CONFIG_INVALID', `KAFKA_BROKERS=${broker}: use host:port, separated by commas`)
  return {
    brokers,
    kafkaSecurity: readKafkaSecurity(env),
    registryUrl: url(env, 'SCHEMA_REGISTRY_URL', 'http://127.0.0.1:18081/apis/ccompat/v7'),
    redisUrl: url(env, 'REDIS_URL', 'redis://127.0.0.1:16379'),
    namespace,
    dataKeysDir: env['SHUNT_DATA_KEYS'] || null,
  }
}

export function readServiceConfig(env: Env): ServiceConfig {
  const graceMs = wholeNumber(env, 'SHUNT_SHUTDOWN_GRACE_MS', 20_000)
  return {
    ...readRuntimeConfig(env),
    replica: env['SHUNT_REPLICA'] ?? hostname(),
    httpPort: wholeNumber(env, 'SHUNT_HTTP_PORT', 0),
    httpHost: env['SHUNT_HTTP_HOST'] ?? '127.0.0.1',
    logLevel: env['SHUNT_LOG_LEVEL'] ?? 'info',
    shutdownGraceMs: graceMs,
    shutdownForceMs: graceMs + 5_000,
  }
}

function url(env: Env, name: string, fallback: string): string {
  const value = env[name] ?? fallback
  if (!URL.canParse(value)) throw new ShuntError('SHUNT_CONFIG_INVALID', `${name}=${value}: not a URL`)
  return value
}

function wholeNumber(env: Env, name: string, fallback: number): number {
  const text = env[name]
  if (text === undefined) return fallback
  if (!/^\d{1,9}$/.test(text)) throw new ShuntError('SHUNT_CONFIG_INVALID', `${name}=${text}: not a whole number`)
  return Number(text)
}
