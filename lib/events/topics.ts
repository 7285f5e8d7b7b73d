import type { StepPriority } from './types.generated.ts'
import type { SchemaName } from './schemas.ts'

const KIB = 1024
const MIB = 1024 * KIB
const DAY_MS = 86_400_000

export interface TopicSpec {
  /** Schema of the value; null for bytes that nobody could read. */
  schema: SchemaName | null
  maxMessageBytes: number
  /** Milliseconds; -1 keeps for ever. Of a topic that exists it is changed by `topics apply --retention` alone. */
  retentionMs: number
  compacted: boolean
  /**
   * - `growing`: as many as are asked for, also later.
   * - `fixed`: as many as are asked for when the topic is made. A key that moved to another partition would break a chain
   *   of the audit in two, with no order between its ends.
   * - `single`: one is enough, and gives its records one order.
   */
  partitions: 'growing' | 'fixed' | 'single'
  extraConfig: Readonly<Record<string, string>>
}

const spec = (
  schema: SchemaName | null,
  maxMessageBytes: number,
  retentionDays: number,
  more?: Partial<TopicSpec>,
) => ({
  schema,
  maxMessageBytes,
  retentionMs: retentionDays < 0 ? -1 : retentionDays * DAY_MS,
  compacted: false,
  partitions: 'growing' as const,
  extraConfig: {},
  ...more,
})

/** Every topic, before its namespace. Results carry the broker's time, so that a reader's delay can be measured. */
export const topics = {
  'agent.steps': spec('step', MIB, 365),
  'agent.steps.batch': spec('step', MIB, 365),
  'agent.steps.reroute': spec('routed-step', 4 * MIB, 7),
  'agent.steps.reroute.batch': spec('routed-step', 4 * MIB, 7),
  'agent.steps.oss': spec('routed-step', 4 * MIB, 7),
  'agent.steps.oss.batch': spec('routed-step', 4 * MIB, 7),
  'agent.steps.frontier': spec('routed-step', 4 * MIB, 7),
  'agent.steps.frontier.batch': spec('routed-step', 4 * MIB, 7),
  'agent.results': spec('step-result', 4 * MIB, 365, { extraConfig: { 'message.timestamp.type': 'LogAppendTime' } }),
  'agent.audit': spec('audit-record', MIB, 3650, {
    partitions: 'fixed',
    // By the broker, which keeps whole transactions together: it is kept for years, and its records are much alike.
    extraConfig: { 'compression.type': 'zstd' },
  }),
  'agent.feedback': spec('step-feedback', MIB, 365),
  'agent.control': spec('control-order', MIB, -1, {
    compacted: true,
    partitions: 'single',
    extraConfig: { 'min.compaction.lag.ms': String(7 * DAY_MS) },
  }),
  'agent.policies': spec('policy-record', MIB, -1, { compacted: true, partitions: 'single' }),
  'agent.deadletter': spec(null, 4 * MIB, 365),
} as const satisfies Record<string, TopicSpec>
export type Topic = keyof typeof topics
export const topicNames = Object.keys(topics) as Topic[]

/** The routed flows, each with its twin for batch work. */
export type FlowTopic = 'agent.steps' | 'agent.steps.reroute' | 'agent.steps.oss' | 'agent.steps.frontier'

/** Largest value of a record that is read, uncompressed. */
export const maxStepBytes = MIB
/** Weak answers that travel with a step are cut here. */
export const maxWeakAnswerBytes = 64 * KIB

/** `staging` + `agent.steps` is `staging.agent.steps`; the empty namespace adds nothing. */
export function inNamespace(namespace: string, name: string): string {
  return namespace === '' ? name : `${namespace}.${name}`
}

/** The name without its namespace, which it must have. */
export function outsideNamespace(namespace: string, name: string): string {
  return namespace === '' ? name : name.slice(namespace.length + 1)
}

/** The topic without its namespace, or undefined where it is none of ours. */
export function outOfNamespace(namespace: string, name: string): Topic | undefined {
  const bare = namespace === '' ? name : name.startsWith(`${namespace}.`) ? name.slice(namespace.length + 1) : ''
  return bare in topics ? (bare as Topic) : undefined
}

export function twinFor(topic: FlowTopic, priority: StepPriority): Topic {
  return priority === 'batch' ? `${topic}.batch` : topic
}
