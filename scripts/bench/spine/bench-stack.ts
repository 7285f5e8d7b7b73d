import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { createCodec, type Codec } from '#lib/events/codec'
import { registerSchemas } from '#lib/events/register-schemas'
import { createRegistry } from '#lib/events/registry'
import { inNamespace } from '#lib/events/topics'
import { activatePolicy } from '#lib/policy/activate'
import { parsePolicy } from '#lib/policy/load'
import { applyTopics } from '#lib/stream/apply-topics'
import { createKafkaFactory, producerConfig, type KafkaFactory } from '#lib/stream/kafka'
import { createLogger, type Logger } from '#lib/telemetry/logger'
import type { Part } from '../../../cli/stack/part.ts'
import type { ServiceName } from '../../../cli/stack/part-record.ts'
import { startService } from '../../../cli/stack/services.ts'
import type { Infrastructure } from '../../../cli/stack/stack.ts'
import { repositoryDir } from '../../../cli/stack/paths.ts'
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
  startService: (name: ServiceName, id?: string) => Promise<Part>
  /** Fills a topic with records. */
  fill: (topic: string, records: { key: string; value: Buffer }[]) => Promise<void>
  /** Sum of a group's committed offsets on a topic: how far it is, without reading along. */
  committed: (group: string, topic: string) => Promise<number>
  stop: () => Promise<void>
}

export interface BenchStackOptions {
  infrastructure: Infrastructure
  dir: string
  partitions: number
  /** Of the simulated backend. */
  ossUrl: string
  maxInFlight: number
}

export async function startBenchStack(options: BenchStackOptions): Promise<BenchStack> {
  const { infrastructure, partitions } = options
  const namespace = `bench-${randomUUID().slice(0, 8)}`
  const log = createLogger('bench', 'warn')
  const kafka = createKafkaFactory({ log }, { brokers: infrastructure.brokers })
  await registerSchemas(createRegistry(infrastructure.registryUrl), namespace)
  const codec = await createCodec({ registryUrl: infrastructure.registryUrl, namespace, log })
  const encodeOrder = (order: Parameters<typeof codec.encode<'control-order'>>[1]) =>
    codec.encode('control-order', order)
  await applyTopics({ kafka, log, nowMs: Date.now, encodeOrder }, { namespace, partitions, actor: 'bench' })
  const loaded = parsePolicy(benchPolicy(options.ossUrl, options.maxInFlight), 'bench policy')
  await activatePolicy({ kafka, codec, nowMs: Date.now }, loaded, { namespace, actor: 'bench', reason: 'a benchmark' })

  const redis = new Redis(infrastructure.redisUrl)
  const admin = kafka('bench-admin').admin()
  const producer = kafka('bench-producer').producer(producerConfig())
  await Promise.all([admin.connect(), producer.connect()])
  const services: Part[] = []
  const env = {
    ...infrastructure.env,
    SHUNT_NAMESPACE: namespace,
    SHUNT_LOG_LEVEL: 'warn',
    BENCH_KEY: 'test-key',
  }
  return {
    namespace,
    kafka,
    redis,
    codec,
    log,
    policyHash: loaded.hash,
    topic: (name) => inNamespace(namespace, name),
    async startService(name, id = name) {
      const service = await startService(name, { dir: options.dir, id, env })
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
    async stop() {
      await Promise.all(services.map((service) => service.stop()))
      await Promise.all([admin.disconnect(), producer.disconnect()])
      redis.disconnect()
    },
  }
}

export interface SimulatedBackend {
  url: string
  stop: () => Promise<void>
}

/** A simulated backend as a process of its own, so that its work is not done in ours. */
export async function startBackend(options: {
  latencyMs: number
  slots: number
  slow?: { marker: string; ms: number }
}): Promise<SimulatedBackend> {
  const args = ['--latency-ms', String(options.latencyMs), '--slots', String(options.slots)]
  if (options.slow) args.push('--slow-marker', options.slow.marker, '--slow-ms', String(options.slow.ms))
  const child = spawn(process.execPath, ['test/simulators/main.ts', 'openai', ...args], {
    cwd: repositoryDir,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  const { url } = JSON.parse(line) as { url: string }
  return {
    url,
    async stop() {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** Resident memory of a process, MB (Linux). */
export function residentMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) / 1024
}

/** Samples until the returned function is called, which gives the highest sample. */
export function sampleHighest(read: () => number, everyMs = 100): () => number {
  let highest = Number.NEGATIVE_INFINITY
  const take = () => (highest = Math.max(highest, read()))
  take()
  const timer = setInterval(take, everyMs)
  return () => {
    clearInterval(timer)
    return take()
  }
}

/** Records a second between the moments when `read` passes 10 % and 100 % of `total`: starting up does not count. */
export async function measureRate(read: () => Promise<number>, total: number, timeoutMs = 120_000): Promise<number> {
  const endAtMs = performance.now() + timeoutMs
  let from: { count: number; atMs: number } | undefined
  while (performance.now() < endAtMs) {
    const count = await read()
    const atMs = performance.now()
    if (!from && count >= total / 10) from = { count, atMs }
    if (from && count >= total) return (count - from.count) / ((atMs - from.atMs) / 1_000)
    await sleep(50)
  }
  throw new Error(`only ${await read()} of ${total} records were handled in ${timeoutMs / 1_000} s`)
}
