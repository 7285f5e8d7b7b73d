import { afterEach, expect, inject, test } from 'vitest'
import { createChain } from '#lib/audit/chain'
import type { Attempt, RoutedStep, StepOrigin } from '#lib/events/types.generated'
import { producerConfig, transactionalIdOf } from '#lib/stream/kafka'
import { recoverLanes } from '#lib/stream/recover-lanes'
import { stageGroups, type StageGroup } from '#lib/stream/stage-groups'
import { commitTransaction } from '#lib/stream/transaction'
import type { Handle, InboundRecord } from '#lib/stream/types'
import { expectWholeChains, type ReadLink } from '../support/audit-chains.ts'
import { localCodec } from '../support/local-codec.ts'
import { createStreamRig, type StreamRig } from '../support/stream-rig.ts'
import type { TopicReader } from '../support/topic-reader.ts'
import { waitUntil } from '../support/wait-until.ts'

const stack = inject('stack')
const codec = await localCodec()
let rig: StreamRig

afterEach(() => rig.end())

/** All offsets of a group go, as after offsets.retention.minutes without a commit. */
async function loseOffsets(group: StageGroup): Promise<void> {
  const admin = rig.kafka('admin').admin()
  await admin.connect()
  await admin.deleteGroups([`${rig.namespace}.${group}`])
  await admin.disconnect()
}

function recover() {
  return recoverLanes(
    { kafka: rig.kafka, codec, journal: journal(), nowMs: Date.now, log: silentLog },
    { namespace: rig.namespace, reason: 'test' },
  )
}

const silentLog = { warn() {}, info() {}, debug() {}, error() {} }

function journal() {
  return createChain({ encode: (link) => codec.encode('audit-record', link), topic: rig.topic('agent.audit') })
}

async function readLinks(reader: TopicReader): Promise<ReadLink[]> {
  await reader.caughtUp()
  return Promise.all(
    reader.records(rig.topic('agent.audit')).map(async ({ partition, offset, value }) => {
      const record = await codec.decode('audit-record', value)
      const isReset = record.type === 'lane_reset'
      return { partition, offset, record, body: isReset ? await codec.decode('lane-reset-record', record.body) : null }
    }),
  )
}

function expectEachOnce(reader: TopicReader, keys: readonly string[]): void {
  const results = reader.records(rig.topic('agent.results')).map((record) => record.key)
  expect(results.toSorted()).toEqual(keys.toSorted())
}

/** Every third record hangs until it is aborted, so that the lane leaves gaps behind. */
function hanging(handle: Handle): Handle {
  let count = 0
  return (record, signal) => {
    count += 1
    if (count % 3 !== 0) return handle(record, signal)
    return new Promise((_, fail) => {
      signal.addEventListener('abort', () => fail(new Error('aborted')), { once: true })
    })
  }
}

async function runWithGaps(group: StageGroup, handle: Handle, reader: TopicReader, atLeast: number): Promise<void> {
  const first = rig.startStage(group, { handle: hanging(handle), drainMs: 500 }, journal())
  await waitUntil(() => reader.count(rig.topic('agent.results')) >= atLeast, 'two thirds to be handled')
  await first.stop()
}

async function finish(group: StageGroup, handle: Handle): Promise<void> {
  const last = rig.startStage(group, { handle }, journal())
  await waitUntil(() => last.stage.status().ready, 'all lanes to open')
  await rig.allDone(group)
  await last.stop()
}

test('lost offsets of the classifier are rebuilt from the audit: nothing is lost, nothing doubled, the chain goes on', async () => {
  rig = createStreamRig(stack)
  await rig.apply(2)
  const reader = await rig.read('agent.results', 'agent.audit')
  const handle: Handle = (record) => {
    const origin: StepOrigin = { ...placeOf(record), receivedAtMs: record.timestampMs }
    const stepId = String(record.key)
    const ids = { stepId, taskId: 'task', tenantId: 'tenant' }
    const body = codec.encode('outcome-record', {
      ...ids,
      origin,
      status: 'completed',
      code: null,
      attempts: 1,
      costMicroUsd: 0,
      finishedAtMs: 0,
    })
    return Promise.resolve({
      records: [{ topic: rig.topic('agent.results'), key: stepId, value: record.value }],
      audit: [{ type: 'outcome', body }],
    })
  }
  const keys = Array.from({ length: 60 }, (_, index) => `step-${index}`)
  await rig.publish(
    'agent.steps',
    keys.map((key) => ({ key, value: 'x' })),
  )
  await runWithGaps('classifier', handle, reader, 40)
  await loseOffsets('classifier')

  const recovered = await recover()
  expect(recovered).toHaveLength(8)
  expect(recovered.some((lane) => lane.incomplete > 0)).toBe(true)
  expect(await recover()).toEqual([])

  await finish('classifier', handle)
  expectWholeChains(await readLinks(reader))
  expectEachOnce(reader, keys)
})

test("lost offsets of a worker are rebuilt by the step's record and attempt, also where a stepId was used before", async () => {
  rig = createStreamRig(stack)
  await rig.apply(2)
  const reader = await rig.read('agent.results', 'agent.audit')
  const handle: Handle = async (record) => {
    const { step, origin, decision } = await codec.decode('routed-step', record.value)
    const body = codec.encode('attempt-record', {
      stepId: step.stepId,
      taskId: step.taskId,
      tenantId: step.tenantId,
      attempt: attemptOf(decision.attempt),
      ends: true,
      boundMicroUsd: 0,
      reservedAtMs: 0,
      kind: 'classification',
      tools: [],
      answerHash: null,
      origin,
    })
    const key = keyOf({ origin, decision })
    return {
      records: [{ topic: rig.topic('agent.results'), key, value: record.value }],
      audit: [{ type: 'attempt', body }],
    }
  }
  const keyOf = ({ origin, decision }: Pick<RoutedStep, 'origin' | 'decision'>) =>
    `${origin.offset}#${decision.attempt}`
  // Every id twice: the second time after its dedupe window.
  const routed = Array.from({ length: 30 }, (_, offset) => `step-${offset % 15}`).flatMap((stepId, offset) => [
    routedStep(stepId, 1, offset),
    routedStep(stepId, 2, offset),
  ])
  await rig.publish(
    'agent.steps.oss',
    routed.map((value) => ({ key: value.step.taskId, value: codec.encode('routed-step', value) })),
  )
  await runWithGaps('oss-pool', handle, reader, 40)
  await loseOffsets('oss-pool')

  expect(await recover()).toHaveLength(4)
  await finish('oss-pool', handle)
  expectWholeChains(await readLinks(reader))
  expectEachOnce(reader, routed.map(keyOf))
})

test('recovering leaves lanes alone that have their offset', async () => {
  rig = createStreamRig(stack)
  await rig.apply(1)
  const group = `${rig.namespace}.frontier`
  const topic = rig.topic(stageGroups.frontier[0])
  const holder = rig.kafka('holder').producer(producerConfig(transactionalIdOf(group, topic, 0)))
  await holder.connect()
  await (await holder.transaction()).abort()
  expect(await recover()).toEqual([])
  // Whoever holds the lane still does: it was not fenced.
  await commitTransaction(holder, [], { group, topic, partition: 0, offset: 0, metadata: '1 AA== ' })
  await holder.disconnect()
})

function placeOf({ topic, partition, offset }: InboundRecord) {
  return { topic, partition, offset }
}

function attemptOf(attempt: number): Attempt {
  return {
    attempt,
    callNo: 1,
    tier: 'oss',
    model: 'm',
    backend: 'b',
    region: 'r',
    verdict: 'ok',
    detail: null,
    startedAtMs: 0,
    endedAtMs: 0,
    promptTokens: 0,
    completionTokens: 0,
    costMicroUsd: 0,
    outcomeUnknown: false,
    standIn: false,
    confidencePpm: null,
    answer: null,
    answerTruncated: false,
  }
}

function routedStep(stepId: string, attempt: number, offset: number): RoutedStep {
  return {
    step: {
      stepId,
      taskId: `task of ${stepId}`,
      tenantId: 'tenant',
      sequence: null,
      kind: 'classification',
      request: '{}',
      constraints: { allowedRegions: null, requiredTags: [], frontierAllowed: true, critical: [] },
      taskBudgetMicroUsd: null,
      deadlineAtMs: null,
      priority: 'interactive',
      batchId: null,
      metadata: {},
    },
    origin: { topic: 'agent.steps', partition: 0, offset, receivedAtMs: 0 },
    decision: {
      attempt,
      tier: 'oss',
      model: 'm',
      reasons: [],
      pSuccessPpm: 0,
      gainPpm: null,
      thresholdPpm: 0,
      thresholdOn: 'p_success',
      policyHash: '',
      scorerHash: null,
      engineVersion: 1,
      maxOutputTokens: 1,
      boundMicroUsd: 0,
      decidedAtMs: 0,
      reservedAtMs: 0,
    },
    attempts: [],
  }
}
