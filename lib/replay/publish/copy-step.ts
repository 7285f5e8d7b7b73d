import { openStep, type Keys } from '#lib/erasure/step-texts'
import { isRetryable } from '#lib/errors'
import type { Codec } from '#lib/events/codec'
import { isJson, parseStep } from '#lib/events/parse-step'
import { inNamespace, outOfNamespace, twinFor } from '#lib/events/topics'
import type { AgentStep } from '#lib/events/types.generated'
import type { Policy } from '#lib/policy/schema'
import { replayHeaders } from '#lib/stream/carried-headers'
import type { InboundRecord } from '#lib/stream/types'
import { isInTime, type ReplayFilter, type ReplaySpan } from './range.ts'

/** A record of agent.steps or its twin as the replay gets it, in the partition where it lay. */
export interface StepCopy {
  topic: string
  partition: number
  key: Buffer | null
  value: Buffer | null
  headers: Record<string, string | Buffer>
  /** topic/partition/offset of the record, bare of its namespace. */
  source: string
  /** Null where the record names no step. */
  step: { tenantId: string; stepId: string } | null
}

export interface CopyStepDeps {
  codec: Codec
  /** As the replay's classifier has them. */
  keys: Keys
  /** Whether a decision on the step is as the filter asks. */
  isWanted: (source: string) => boolean
  /** How much later the step has its deadline in the replay, ms. */
  shiftMs: (step: Pick<AgentStep, 'tenantId' | 'stepId'>, recordedAtMs: number) => number
}

export interface CopyStepOptions {
  id: string
  /** Live, and the replay's own. */
  from: string
  to: string
  /** Of the replay. */
  policy: Pick<Policy, 'request' | 'tenants'>
  filter: ReplayFilter
  times: Pick<ReplaySpan, 'sinceMs' | 'untilMs'>
}

/**
 * The copy of a record, or null where the range leaves it out. Bytes stay as they are, JSON or Avro of whatever schema,
 * since an id of the registry is the same for every subject; only a deadline is moved, as it is a time of day. What no step
 * can be read of is copied too, unless a filter asks for certain steps: the replay shows the same dead letter.
 *
 * A step that was published to the wrong twin lies in the right one too, whither the classifier has moved it: that record
 * is copied, and not this one. Throws SHUNT_REGISTRY_UNAVAILABLE and SHUNT_DATA_KEYS_UNAVAILABLE (both retryable).
 */
export async function copyStep(
  deps: CopyStepDeps,
  record: InboundRecord,
  options: CopyStepOptions,
): Promise<StepCopy | null> {
  const { filter } = options
  if (!isInTime(options.times, record.timestampMs)) return null
  const topic = outOfNamespace(options.from, record.topic)!
  const source = `${topic}/${record.partition}/${record.offset}`
  if (!deps.isWanted(source)) return null
  const step = await readOrNull(deps.codec, record)
  if (!isAskedFor(filter.taskIds, step?.taskId) || !isAskedFor(filter.tenantIds, step?.tenantId)) return null
  if (step && topic !== twinFor('agent.steps', step.priority) && (await isValid(deps.keys, step, options.policy)))
    return null
  const headers: Record<string, string | Buffer> = {}
  for (const [name, value] of Object.entries(record.headers)) if (value !== undefined) headers[name] = value
  return {
    topic: inNamespace(options.to, topic),
    partition: record.partition,
    key: record.key,
    value: step?.deadlineAtMs == null ? record.value : moved(deps, record, step, step.deadlineAtMs),
    headers: { ...headers, [replayHeaders.id]: options.id, [replayHeaders.source]: source },
    source,
    step: step && { tenantId: step.tenantId, stepId: step.stepId },
  }
}

/** Of nobody knows whom is only what everybody is asked for. */
function isAskedFor(asked: readonly string[] | undefined, id: string | undefined): boolean {
  return asked === undefined || (id !== undefined && asked.includes(id))
}

async function readOrNull(codec: Codec, record: InboundRecord): Promise<AgentStep | null> {
  try {
    return await parseStep(record, codec)
  } catch (error) {
    if (isRetryable(error)) throw error
    return null
  }
}

/** As the classifier finds: it moves no step that it rejects. */
async function isValid(keys: Keys, step: AgentStep, policy: CopyStepOptions['policy']): Promise<boolean> {
  try {
    await openStep(keys, step, policy)
    return true
  } catch (error) {
    if (isRetryable(error)) throw error
    return false
  }
}

function moved(deps: CopyStepDeps, record: InboundRecord, step: AgentStep, deadlineAtMs: number): Buffer {
  const later = deadlineAtMs + deps.shiftMs(step, record.timestampMs)
  if (!isJson(record)) return deps.codec.encode('step', { ...step, deadlineAtMs: later })
  const value = JSON.parse(record.value.toString()) as Record<string, unknown>
  return Buffer.from(JSON.stringify({ ...value, deadlineAtMs: later }))
}

const mostRemembered = 100_000

/**
 * A step's time left counts from when its copy is made. The same step published again gets the same shift, so that it
 * stays the duplicate that it was; of a hundred thousand steps at a time, since they have to be remembered.
 */
export function createShift(nowMs: () => number): CopyStepDeps['shiftMs'] {
  const known = new Map<string, number>()
  return ({ tenantId, stepId }, recordedAtMs) => {
    const name = `${tenantId} ${stepId}`
    const shift = known.get(name) ?? nowMs() - (recordedAtMs > 0 ? recordedAtMs : nowMs())
    known.delete(name)
    known.set(name, shift)
    if (known.size > mostRemembered) known.delete(known.keys().next().value!)
    return shift
  }
}
