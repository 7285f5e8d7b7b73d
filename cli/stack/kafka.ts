import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Kafka, logLevel } from 'kafkajs'
import { ShuntError } from '#lib/errors'
import { onFreePort, type PortChoice } from './on-free-port.ts'
import { startPart, type Part } from './part.ts'
import { kafkaHome, stackDir } from './paths.ts'
import { freePort } from './ports.ts'
import { LIGHT_JVM, requireJava } from './tools.ts'

export interface KafkaPart extends Part {
  brokers: string[]
}

export interface LocalPartOptions extends PortChoice {
  /** The stack's directory; the part keeps its data, log and record below it. */
  dir: string
  signal?: AbortSignal | undefined
}

/** One Kafka broker that is its own KRaft controller. Data that is there from an earlier start is used again. */
export function startKafka(options: LocalPartOptions): Promise<KafkaPart> {
  return onFreePort('Kafka', options, async (port) => {
    const dirs = stackDir(options.dir)
    const home = join(dirs.data, 'kafka')
    const java = requireJava()
    const classPath = ['-cp', join(kafkaHome, '*')]
    const properties = join(home, 'server.properties')
    const formatted = join(home, 'formatted')

    // A log directory without this mark was never served from: a format that was cut short is begun again.
    if (!existsSync(formatted)) rmSync(join(home, 'log'), { recursive: true, force: true })
    mkdirSync(home, { recursive: true })
    writeFileSync(properties, serverProperties(join(home, 'log'), port, await freePort()))
    if (!existsSync(formatted)) {
      const format = ['kafka.tools.StorageTool', 'format', '--cluster-id', clusterId(), '--config', properties]
      await run(java, ['-Xmx128m', ...LIGHT_JVM, ...LOGGING, ...classPath, ...format], options.signal)
      writeFileSync(formatted, '')
    }
    const brokers = [`127.0.0.1:${port}`]
    const part = await startPart({
      name: 'kafka',
      command: java,
      args: [...HEAP, ...LOGGING, ...classPath, 'kafka.Kafka', properties],
      cwd: home,
      env: process.env,
      address: `127.0.0.1:${port}`,
      logFile: join(dirs.log, 'kafka.log'),
      runDir: dirs.run,
      probe: () => brokerAnswers(brokers),
      stopGraceMs: 30_000,
      signal: options.signal,
    })
    return { ...part, brokers }
  })
}

/** Almost nothing of a broker outlives a request: with half the heap for the young it pauses seldom, and not for 50 ms. */
const HEAP = ['-Xms512m', '-Xmx512m', '-Xmn256m', '-XX:+UseSerialGC']

const LOGGING = [
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
  '-Dorg.slf4j.simpleLogger.showDateTime=true',
  '-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS',
]

function serverProperties(logDir: string, port: number, controllerPort: number): string {
  return Object.entries({
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'controller.listener.names': 'CONTROLLER',
    'log.dirs': logDir,
    // Topics come from `shunt topics apply` with their settings; one made by a typing error would have none of them.
    'auto.create.topics.enable': false,
    // One broker: Kafka's own defaults of three copies could not be met.
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 4,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'group.initial.rebalance.delay.ms': 0,
    // A year. Kafka's default of seven days forgets where a stopped service was (deploy/kafka.md).
    'offsets.retention.minutes': 525_600,
    // 128 MB by default, out of a heap of 512.
    'log.cleaner.dedupe.buffer.size': 16_777_216,
  })
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

/** 16 bytes as Kafka writes a UUID; never with a dash in front, which its command line takes for an option. */
function clusterId(): string {
  const id = randomBytes(16).toString('base64url')
  return id.startsWith('-') ? clusterId() : id
}

async function brokerAnswers(brokers: string[]): Promise<boolean> {
  const kafka = new Kafka({
    clientId: 'shunt-stack',
    brokers,
    logLevel: logLevel.NOTHING,
    connectionTimeout: 1_000,
    requestTimeout: 2_000,
    retry: { retries: 0 },
  })
  const admin = kafka.admin()
  try {
    await admin.connect()
    return (await admin.describeCluster()).brokers.length > 0
  } finally {
    await admin.disconnect()
  }
}

async function run(command: string, args: string[], signal: AbortSignal | undefined): Promise<void> {
  try {
    await promisify(execFile)(command, args, { signal })
  } catch (cause) {
    signal?.throwIfAborted()
    const output = (cause as { stderr?: string }).stderr ?? ''
    throw new ShuntError('SHUNT_SETUP_FAILED', `Kafka's storage could not be formatted: ${output.trim()}`, { cause })
  }
}
