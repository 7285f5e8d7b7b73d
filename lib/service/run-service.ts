// First: what is loaded before it grows the heap by other rules.
// oxlint-disable-next-line import/no-unassigned-import
import './small-heap.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { createChain } from '#lib/audit/chain'
import { createOrdersInForce, type OrdersInForce } from '#lib/control/orders-in-force'
import { readServiceConfig, type ServiceConfig } from '#lib/config'
import { isRetryable } from '#lib/errors'
import { createCodec, type Codec } from '#lib/events/codec'
import { inNamespace } from '#lib/events/topics'
import { watchRedisVersion } from '#lib/ledger/redis-version'
import { warnOfLossyBroker } from '#lib/stream/broker-release'
import { createPolicyStore, type PolicyStore, type PolicyStoreDeps } from '#lib/policy/policy-store'
import { createKafkaFactory, type KafkaFactory } from '#lib/stream/kafka'
import { createPoisonMemory } from '#lib/stream/poison'
import type { Stage, StageDeps, StageStatus } from '#lib/stream/stage'
import { createLogger, describeError, type Logger } from '#lib/telemetry/logger'
import { serveOperations } from '#lib/telemetry/operations-server'
import { createStageMetrics } from '#lib/telemetry/stage-metrics'

/** What every service has at hand when it wires its stage. */
export interface ServiceParts {
  config: ServiceConfig
  log: Logger
  kafka: KafkaFactory
  redis: Redis
  codec: Codec
  policies: PolicyStore
  /** Operators' orders: complete before a policy is in force. */
  orders: OrdersInForce
  registry: Registry
  stage: StageDeps
  /** What else must be well for the service to be ready: null, or what is wrong. */
  checks: (() => string | null)[]
  /** Closed in reverse order after the stage has drained. */
  closing: AsyncDisposableStack
  /** Aborts at SIGTERM or SIGINT. */
  stop: AbortSignal
}

/**
 * The life of a service process: configuration, connections, its stage, its operations server, and a graceful end at
 * SIGTERM or SIGINT (a second signal kills). Only a service that scores steps `reads` scorers. Ends with exit code 1 and
 * one line in the log where it cannot start.
 */
export async function runService(
  name: string,
  wire: (parts: ServiceParts) => Promise<Stage>,
  reads: Pick<PolicyStoreDeps, 'readScorer'> = {},
): Promise<void> {
  const log = createLogger(name, process.env['SHUNT_LOG_LEVEL'] ?? 'info')
  // The default prints the error whole, and with it whatever text it holds.
  const die = (err: unknown) => {
    log.fatal({ err }, 'the service ends')
    process.exit(1)
  }
  process.once('uncaughtException', die)
  process.once('unhandledRejection', die)
  try {
    await serve(readServiceConfig(process.env), log, wire, reads)
    // All is closed by now. kafkajs may still hold the socket of a client that was disconnected while it reconnected to a
    // broker that was away; it would keep the process alive until the broker drops it.
    process.exit(0)
  } catch (error) {
    die(error)
  }
}

async function serve(
  config: ServiceConfig,
  log: Logger,
  wire: (parts: ServiceParts) => Promise<Stage>,
  reads: Pick<PolicyStoreDeps, 'readScorer'>,
): Promise<void> {
  const stop = stopSignal(config, log)
  await using closing = new AsyncDisposableStack()

  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const redis = closing.adopt(connectRedis(config.redisUrl, log), (client) => client.disconnect())
  const redisProblem = watchRedisVersion(redis, log)
  const kafka = createKafkaFactory({ log }, { brokers: config.brokers, security: config.kafkaSecurity })
  void warnOfLossyBroker(log, config.brokers)
  const codec = await untilReachable(
    () => createCodec({ registryUrl: config.registryUrl, namespace: config.namespace, log }),
    log,
    stop,
  )
  if (!codec) return
  const orders = createOrdersInForce({ nowMs: Date.now, log })
  const policies = closing.use(
    createPolicyStore({ kafka, codec, log, onOrder: orders.take, ...reads }, { namespace: config.namespace }),
  )

  const stageDeps: StageDeps = {
    kafka,
    log,
    poison: createPoisonMemory(redis, { namespace: config.namespace }),
    journal: createChain({
      topic: inNamespace(config.namespace, 'agent.audit'),
      encode: (link) => codec.encode('audit-record', link),
    }),
    metrics: createStageMetrics(registry),
    nowMs: Date.now,
  }
  const checks: ServiceParts['checks'] = []
  const stage = await wire({
    config,
    log,
    kafka,
    redis,
    codec,
    policies,
    orders,
    registry,
    stage: stageDeps,
    checks,
    closing,
    stop,
  })

  const notReady = () => [
    ...(policies.inForce() ? [] : ['SHUNT_POLICY_MISSING: no policy is in force: run `shunt policy activate FILE`']),
    ...redisNotReady(redis.status === 'ready' ? redisProblem() : `Redis is ${redis.status}`),
    ...lanesNotReady(stage.status()),
    ...checks.map((check) => check()).filter((problem) => problem !== null),
  ]
  const operations = await serveOperations(
    { metrics: registry, notReady },
    { port: config.httpPort, host: config.httpHost },
  )
  closing.defer(() => operations.close())
  log.info({ url: operations.url, replica: config.replica, namespace: config.namespace }, 'service started')
  await stage.run(stop)
  log.info('drained')
}

function redisNotReady(problem: string | null): string[] {
  return problem === null ? [] : [`SHUNT_REDIS_UNAVAILABLE: ${problem}`]
}

function lanesNotReady(status: StageStatus): string[] {
  if (status.ready) return []
  const shut = status.lanes.filter((lane) => lane.state !== 'open')
  if (shut.length === 0) return ['not in the consumer group yet']
  return shut.map((lane) => {
    const why = lane.code === null ? '' : `: ${lane.code}: ${lane.message}`
    return `lane ${lane.topic}/${lane.partition} is ${lane.state}${why}`
  })
}

function stopSignal(config: ServiceConfig, log: Logger): AbortSignal {
  const stop = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => {
      log.info({ signal }, 'stopping')
      stop.abort()
    })
  stop.signal.addEventListener('abort', () => setTimeout(() => process.exit(1), config.shutdownForceMs).unref())
  return stop.signal
}

/** Commands fail at once while Redis is away: a step then waits in its lane, not in a queue that nobody sees. */
function connectRedis(url: string, log: Logger): Redis {
  const redis = new Redis(url, { enableOfflineQueue: false, maxRetriesPerRequest: 0, connectTimeout: 3_000 })
  redis.on('error', (error: Error) => log.warn({ err: describeError(error) }, 'Redis'))
  return redis
}

/** A registry that is still starting is waited for; undefined when told to stop meanwhile. */
async function untilReachable<T>(open: () => Promise<T>, log: Logger, stop: AbortSignal): Promise<T | undefined> {
  for (let pauseMs = 200; !stop.aborted; pauseMs = Math.min(2 * pauseMs, 5_000)) {
    try {
      return await open()
    } catch (error) {
      if (!isRetryable(error)) throw error
      log.warn({ err: error }, 'not reachable yet')
      await sleep(pauseMs, undefined, { signal: stop }).catch(() => {})
    }
  }
  return undefined
}
