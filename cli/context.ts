import { userInfo } from 'node:os'
import type { Command } from 'commander'
import { Redis } from 'ioredis'
import { pino, type Logger } from 'pino'
import { openDataKeys } from '#lib/erasure/data-keys'
import type { Keys } from '#lib/erasure/step-texts'
import { createCodec, type Codec } from '#lib/events/codec'
import { readRuntimeConfig, type RuntimeConfig } from '#lib/config'
import { createKafkaFactory, type KafkaFactory } from '#lib/stream/kafka'
import { describeError } from '#lib/telemetry/logger'
import { stackEnvironment } from './stack/local-stack.ts'
import { shuntDir } from './stack/paths.ts'

/** What a command works with; `main.ts` makes it, tests make their own. */
export interface CliContext {
  env: Readonly<Record<string, string | undefined>>
  stdin: NodeJS.ReadStream
  stdout: NodeJS.WritableStream & { isTTY?: boolean; columns?: number }
  /** Progress and messages: standard output holds nothing but what was asked for. */
  stderr: NodeJS.WritableStream & { isTTY?: boolean }
  /** Aborts at the first Ctrl-C. */
  signal: AbortSignal
}

/** A command's end, where it is neither plain success nor an error: the exit code. */
export type ExitCode = number

/** Adds one command to the program. Its action returns the exit code, or nothing for 0. */
export type AddCommand = (program: Command, run: RunAction) => void

/** Wraps an action: gives it the context, and its exit code to the process. Arguments and options come last. */
export type RunAction = <Args extends unknown[]>(
  action: (context: CliContext, ...args: Args) => Promise<ExitCode | void>,
) => (...args: Args) => Promise<void>

export interface Connection {
  config: RuntimeConfig
  kafka: KafkaFactory
  log: Logger
  /** To texts that are sealed; null where SHUNT_DATA_KEYS is not set. */
  keys: Keys
}

/** Where Kafka, registry and Redis are: as the environment says, else where `shunt up` put them. Opens nothing. Throws SHUNT_CONFIG_INVALID. */
export function connectionOf({ env }: CliContext): Connection {
  const config = readRuntimeConfig({ ...stackEnvironment(shuntDir), ...withoutEmpty(env) })
  const log = cliLogger(env)
  return {
    config,
    log,
    keys: config.dataKeysDir === null ? null : openDataKeys(config.dataKeysDir),
    kafka: createKafkaFactory({ log }, { brokers: config.brokers, security: config.kafkaSecurity }),
  }
}

/** The same with the codec, whose schemas must be registered. */
export async function connect(context: CliContext): Promise<Connection & { codec: Codec }> {
  const connection = connectionOf(context)
  const { registryUrl, namespace } = connection.config
  return { ...connection, codec: await createCodec({ registryUrl, namespace, log: connection.log }) }
}

/** Closed at the end of the block that uses it. Commands fail where Redis does not answer, and do not wait for it. */
export function connectRedis(url: string): { client: Redis } & Disposable {
  const client = new Redis(url, { maxRetriesPerRequest: 1, connectTimeout: 3_000 })
  // Told by the command that fails.
  client.on('error', () => {})
  return { client, [Symbol.dispose]: () => client.disconnect() }
}

function withoutEmpty(env: CliContext['env']): CliContext['env'] {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''))
}

/** Silent unless SHUNT_LOG_LEVEL asks for more; then lines of JSON on standard error. */
function cliLogger(env: CliContext['env']): Logger {
  const options = { level: env['SHUNT_LOG_LEVEL'] ?? 'silent', serializers: { err: describeError } }
  return pino(options, pino.destination({ dest: 2, sync: true }))
}

/** Who gives an operator's order, for its record. */
export function actorOf({ env }: CliContext): string {
  return env['SHUNT_ACTOR'] ?? userInfo().username
}
