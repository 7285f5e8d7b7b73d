import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { createCodec, type Codec } from '#lib/events/codec'
import { registerSchemas } from '#lib/events/register-schemas'
import { createRegistry } from '#lib/events/registry'
import { inNamespace } from '#lib/events/topics'
import { createLedgerState, openLedger } from '#lib/ledger/ledger-state'
import { activatePolicy } from '#lib/policy/activate'
import { parsePolicy } from '#lib/policy/load'
import { applyTopics } from '#lib/stream/apply-topics'
import { createKafkaFactory, producerConfig, type KafkaFactory } from '#lib/stream/kafka'
import { createLogger, type Logger } from '#lib/telemetry/logger'
import type { Part } from '../../../cli/stack/part.ts'
import type { ServiceName } from '../../../cli/stack/part-record.ts'
import { startService } from '../../../cli/stack/services.ts'
import type { Infrastructure } from '../../../cli/stack/stack.ts'
import { middleRate, type Progress } from '../figures.ts'
import { backendKey } from './backend.ts'
import { benchPolicy } from './load.ts'

/** Everything a measurement needs, in a namespace of its own. */
export interface BenchStack {
  namespace: string
  kafka: KafkaFactory
  redis: Redis
  codec: Codec
  log: Logger
  policyHash: string
  topic: (name: string) => string
  /** `env`: settings of its own, SHUNT_MAX_IN_FLIGHT and the like; `main`: another file in place of the service's. */
  startService: (
    name: ServiceName,
    options?: { id?: string; env?: Record<string, string>; main?: string },
  ) => Promise<Part>
  /** Fills a topic with records. */
  fill: (topic: string, records: { key: string; value: Buffer; headers?: Record<string, string> }[]) => Promise<void>
  /** Sum of a group's committed offsets on a topic: how far it is, without reading along. */
  committed: (group: string, topic: string) => Promise<number>
  /** Sum of a topic's end offsets. */
  logEnd: (topic: string) => Promise<number>
  stop: () => Promise<void>
}

export interface BenchStackOptions {
  infrastructure: Infrastructure
  dir: string
  partitions: number
  /** Of the simulated backend. */
  ossUrl: string
  maxInFlight: number
  /** @default all steps of one tenant to the simulated backend */
  policy?: string
  /** A ledger service will run, and makes the ledger itself. @default false */
  withLedger?: boolean
}

export async function startBenchStack(options: BenchStackOptions): Promise<BenchStack> {
  const { infrastructure, partitions } = options
  const namespace = `bench-${randomUUID().slice(0, 8)}`
  const log = createLogger('bench', 'error')
  const kafka = createKafkaFactory({ log }, { brokers: infrastructure.brokers })
  await registerSchemas(createRegistry(infrastructure.registryUrl), namespace)
  const codec = await createCodec({ registryUrl: infrastructure.registryUrl, namespace, log })
  const encodeOrder = (order: Parameters<typeof codec.encode<'control-order'>>[1]) =>
    codec.encode('control-order', order)
  await applyTopics({ kafka, log, nowMs: Date.now, encodeOrder }, { namespace, partitions, actor: 'bench' })
  const loaded = parsePolicy(options.policy ?? benchPolicy(options.ossUrl, options.maxInFlight), 'bench policy')
  await activatePolicy({ kafka, codec, nowMs: Date.now }, loaded, { namespace, actor: 'bench', reason: 'a benchmark' })

  const redis = new Redis(infrastructure.redisUrl)
  if (!options.withLedger)
    await openLedger(createLedgerState({ redis, namespace }), [...loaded.policy.index.tenants.keys()])
  const admin = kafka('bench-admin').admin()
  const producer = kafka('bench-producer').producer(producerConfig())
  await Promise.all([admin.connect(), producer.connect()])
  const services: Part[] = []
  const env = {
    ...infrastructure.env,
    SHUNT_NAMESPACE: namespace,
    SHUNT_LOG_LEVEL: 'warn',
    BENCH_KEY: backendKey,
  }
  return {
    namespace,
    kafka,
    redis,
    codec,
    log,
    policyHash: loaded.hash,
    topic: (name) => inNamespace(namespace, name),
    async startService(name, { id = name, env: more = {}, ...main } = {}) {
      const started = { dir: options.dir, id: `${namespace}-${id}`, env: { ...env, ...more }, ...main }
      const service = await startService(name, started)
      services.push(service)
      return service
    },
    async fill(topic, records) {
      for (let at = 0; at < records.length;) {
        const batch: typeof records = []
        let bytes = 0
        while (at < records.length && (batch.length === 0 || bytes + records[at]!.value.length < 700_000)) {
          bytes += records[at]!.value.length
          batch.push(records[at++]!)
        }
        await producer.send({ topic, messages: batch })
      }
    },
    async committed(group, topic) {
      const [read] = await admin.fetchOffsets({ groupId: inNamespace(namespace, group), topics: [topic] })
      return read!.partitions.reduce((sum, { offset }) => sum + Math.max(0, Number(offset)), 0)
    },
    async logEnd(topic) {
      return (await admin.fetchTopicOffsets(topic)).reduce((sum, { high }) => sum + Number(high), 0)
    },
    async stop() {
      await Promise.all(services.map((service) => service.stop()))
      for (const service of services) reportWarnings(service)
      await Promise.all([admin.disconnect(), producer.disconnect()])
      redis.disconnect()
    },
  }
}

/** What a service warned of: a figure that came about with errors is none. */
function reportWarnings(service: Part): void {
  const lines = readFileSync(service.logFile, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('{"level":30'))
  if (lines.length > 0)
    console.log(`  ${service.id} logged ${lines.length} lines, the first: ${lines[0]!.slice(0, 400)}`)
}

/** Highest resident memory of a process so far, MB (Linux). */
export function peakResidentMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) / 1024
}

/**
 * Records a second between 10 % and 90 % of `total`: neither the start nor the last records count, and what lags behind
 * does so at both ends. Resolves once all are handled.
 */
export async function measureRate(read: () => Promise<number>, total: number, timeoutMs = 180_000): Promise<number> {
  const endAtMs = performance.now() + timeoutMs
  const seen: Progress[] = []
  while (performance.now() < endAtMs) {
    const count = await read()
    seen.push({ count, atMs: performance.now() })
    if (count >= total) return middleRate(seen, total)
    await sleep(50)
  }
  throw new Error(`only ${await read()} of ${total} records were handled in ${timeoutMs / 1_000} s`)
}
