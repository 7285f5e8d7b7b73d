import { randomUUID } from 'node:crypto'
import { cpSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { pino } from 'pino'
import { createClient, type Client } from '#lib/client/create-client'
import { createCodec, type Codec } from '#lib/events/codec'
import { registerSchemas } from '#lib/events/register-schemas'
import { createRegistry } from '#lib/events/registry'
import { inNamespace, topicNames, type Topic } from '#lib/events/topics'
import { applyTopics, type AppliedTopics } from '#lib/stream/apply-topics'
import { createKafkaFactory } from '#lib/stream/kafka'
import { startGuardian } from '../../cli/stack/guardian.ts'
import { createRunDirectory, removeRunDirectory } from '../../cli/stack/run-directory.ts'
import type { StackAddresses } from '../../cli/stack/stack.ts'
import type { OpenAiSimulatorOptions } from '../simulators/openai-server.ts'
import { putPolicyInForce, type PolicyChange, type ProviderLimits } from './pipeline-policy.ts'
import { openRecords, type PipelineRecords } from './pipeline-records.ts'
import { openServices, type PipelineServices, type Replicas, type ServiceEnv } from './pipeline-services.ts'
import { startModels, type Models } from './pipeline-models.ts'

export interface PipelineOptions {
  stack: StackAddresses
  /** @default one that nobody else has */
  namespace?: string
  /** Processes of each service. @default 1 */
  replicas?: Partial<Replicas>
  /** Of each topic that may have several. @default 3 */
  partitions?: number
  /** One simulated backend of the open model each. @default two, of 20 and 200 ms */
  oss?: OpenAiSimulatorOptions[]
  /** The simulated provider of the frontier model. @default 50 ms */
  frontier?: OpenAiSimulatorOptions
  policy?: PolicyChange
  /** Of the simulated provider. @default none */
  providerLimits?: ProviderLimits
  /** Added to a service's environment. */
  serviceEnv?: ServiceEnv
  /** Starts a process again that ended without being told to, as an orchestrator would. @default false */
  supervise?: boolean
}

export interface Pipeline extends PipelineServices, PipelineRecords {
  namespace: string
  topic(name: Topic): string
  client: Client
  codec: Codec
  models: Models
  /** A Kafka object that owes nothing to lib/. */
  kafka: Kafka
  applyTopics(partitions: number): Promise<AppliedTopics>
  activatePolicy(change: PolicyChange): Promise<string>
  /** What a service needs to be run by hand, such as the CLI. */
  env: Record<string, string>
  /** Stops everything. Throws where a process did not end by itself, drained; `failed` keeps the logs. */
  stopAll(outcome?: { failed: boolean }): Promise<void>
}

const log = pino({ level: 'silent' })

/** The whole product in a namespace of its own: real processes on the real stack, in front of simulated models. */
export async function startPipeline(options: PipelineOptions): Promise<Pipeline> {
  const { stack, partitions = 3, namespace = `test-${randomUUID().slice(0, 8)}` } = options
  const env = {
    KAFKA_BROKERS: stack.brokers.join(','),
    SCHEMA_REGISTRY_URL: stack.registryUrl,
    REDIS_URL: stack.redisUrl,
    SHUNT_NAMESPACE: namespace,
    SIMULATOR_KEY: 'test-key',
  }
  await using undo = new AsyncDisposableStack()
  const dir = await createRunDirectory('test')
  undo.defer(() => removeRunDirectory(dir))
  // Ends the services however this process ends.
  startGuardian(dir)

  const models = await startModels(options)
  undo.defer(() => models.stop())
  await registerSchemas(createRegistry(stack.registryUrl), namespace)
  const codec = await createCodec({ registryUrl: stack.registryUrl, namespace, log })
  const factory = createKafkaFactory({ log }, { brokers: [...stack.brokers] })
  const resultsTopics = ownResultsTopicsOf(options.policy)
  const apply = (count: number) =>
    applyTopics(
      { kafka: factory, encodeOrder: (order) => codec.encode('control-order', order), nowMs: Date.now, log },
      { namespace, partitions: count, resultsTopics, actor: 'test' },
    )
  await apply(partitions)
  const { providerLimits } = options
  const activate = (change: PolicyChange) =>
    putPolicyInForce({ kafka: factory, codec }, { namespace, models, providerLimits, change })
  await activate(options.policy ?? {})

  const services = await openServices({ dir, env, ...options, namespace })
  undo.defer(() => services.killAll())
  const records = await openRecords({ stack, namespace, resultsTopics })
  undo.defer(() => records.close())
  const client = await createClient({ kafka: factory, codec, log }, { namespace })
  undo.defer(() => client.close())
  const kept = undo.move()

  return {
    ...services,
    ...records,
    namespace,
    topic: (name) => inNamespace(namespace, name),
    client,
    codec,
    models,
    env,
    kafka: new Kafka({ clientId: 'test', brokers: [...stack.brokers], logLevel: logLevel.NOTHING }),
    applyTopics: apply,
    activatePolicy: activate,
    async stopAll({ failed } = { failed: false }) {
      await using _rest = kept
      try {
        await services.drainAll()
      } catch (error) {
        failed = true
        throw error
      } finally {
        if (failed) console.error(`logs of the services: ${keepLogs(dir)}`)
      }
      if (!failed) await deleteTopics(stack.brokers, namespace, resultsTopics)
    },
  }
}

/** The run's directory goes with the run. */
function keepLogs(dir: string): string {
  const kept = mkdtempSync(join(tmpdir(), 'shunt-test-logs-'))
  cpSync(join(dir, 'log'), kept, { recursive: true })
  return kept
}

function ownResultsTopicsOf({ tenants = [] }: PolicyChange = {}): string[] {
  return tenants.flatMap(({ resultsTopic }) => resultsTopic ?? [])
}

async function deleteTopics(brokers: readonly string[], namespace: string, more: readonly string[]): Promise<void> {
  const admin = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  try {
    await admin.deleteTopics({ topics: [...topicNames, ...more].map((name) => inNamespace(namespace, name)) })
  } finally {
    await admin.disconnect()
  }
}
