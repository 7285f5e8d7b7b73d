import { withAdmin } from '#lib/client/topic-range'
import { writeOrder } from '#lib/control/write-order'
import { createCodec, type Codec } from '#lib/events/codec'
import { registerSchemas } from '#lib/events/register-schemas'
import { createRegistry } from '#lib/events/registry'
import { ownResultsTopics } from '#lib/events/results-topic'
import { inNamespace } from '#lib/events/topics'
import { activatePolicy } from '#lib/policy/activate'
import type { LoadedPolicy } from '#lib/policy/load'
import type { ScorerBytes } from '#lib/policy/scorer-parts'
import { applyTopics } from '#lib/stream/apply-topics'
import type { KafkaFactory } from '#lib/stream/kafka'
import type { Logger } from '#lib/telemetry/logger'
import { sourceTopics } from './range.ts'
import { replayOrderName, type ReplayOrder } from './replay-order.ts'

export interface BeginReplayDeps {
  /** Guarded: it writes in the replay's namespace alone. */
  kafka: KafkaFactory
  registryUrl: string
  log: Logger
  nowMs: () => number
}

export interface BeginReplayOptions {
  namespace: string
  actor: string
  policy: LoadedPolicy
  /** Null where the policy needs none. */
  scorer: ScorerBytes | null
  order: ReplayOrder
}

/**
 * A copy has headers more than its record, and may be compressed less well. What was just let in live, were it garbage,
 * would else be refused here, and the replay never come past it.
 */
const roomForCopyBytes = 4 * 1024 * 1024

/**
 * Makes the namespace of a replay: schemas, topics with as many partitions as the live ones, the policy in force, and
 * last the order that says what is replayed, so that a replay which has one can be resumed. Throws as its parts do.
 */
export async function beginReplay(deps: BeginReplayDeps, options: BeginReplayOptions): Promise<Codec> {
  const { kafka, log, nowMs } = deps
  const { namespace, actor, policy, scorer, order } = options
  const reason = `replay ${order.id}`
  await registerSchemas(createRegistry(deps.registryUrl), namespace)
  const codec = await createCodec({ registryUrl: deps.registryUrl, namespace, log })
  await applyTopics(
    { kafka, log, nowMs, encodeOrder: (each) => codec.encode('control-order', each) },
    {
      namespace,
      actor,
      partitions: await mostPartitions(deps, order.source),
      resultsTopics: ownResultsTopics(policy.policy),
      maxMessageBytes: new Map(sourceTopics.map((topic) => [topic, roomForCopyBytes])),
    },
  )
  await activatePolicy({ kafka, codec, nowMs }, policy, { namespace, actor, reason, scorer })
  const given = { name: replayOrderName, actor, reason, value: JSON.stringify(order) }
  await writeOrder({ kafka, codec, nowMs }, given, { namespace })
  return codec
}

function mostPartitions(deps: Pick<BeginReplayDeps, 'kafka'>, namespace: string): Promise<number> {
  const names = sourceTopics.map((topic) => inNamespace(namespace, topic))
  return withAdmin(deps, names, async (admin) => {
    const { topics } = await admin.fetchTopicMetadata({ topics: names })
    return Math.max(...topics.map(({ partitions }) => partitions.length))
  })
}
