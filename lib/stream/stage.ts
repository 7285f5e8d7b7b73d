import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Admin } from 'kafkajs'
import type { Logger } from '#lib/telemetry/logger'
import { abortable } from './abortable.ts'
import { rendezvousAssigner } from './assigner.ts'
import { carryHeaders } from './carried-headers.ts'
import { createBatchPace } from './batch-pace.ts'
import { createByteBudget, createSlots, type LaneClass } from './capacity.ts'
import { createCommitTurns } from './commit-turns.ts'
import { createConsumerLoop, type ConsumerLoop } from './consumer-loop.ts'
import { consumerConfig, producerConfig, transactionalIdOf, type KafkaFactory } from './kafka.ts'
import { createLaneLog } from './lane-log.ts'
import type { LaneStatus } from './lane-status.ts'
import { createLane, laneName, type Lane } from './lane.ts'
import type { PoisonMemory } from './poison.ts'
import type { StageMetrics } from './stage-metrics.ts'
import { createSuspicion, createTurn } from './suspicion.ts'
import { explainMissingOffset } from './topic-markers.ts'
import type { Handle, InboundRecord, Journal, Reject } from './types.ts'

export interface StageDeps {
  kafka: KafkaFactory
  poison: PoisonMemory
  /** Links the audit drafts of handled records; needed where `handle` or `reject` return any. */
  journal?: Journal
  log: Logger
  metrics?: StageMetrics
  nowMs: () => number
}

export interface StageOptions {
  /** Consumer group, with its namespace. */
  group: string
  /** With their namespace. */
  topics: readonly { name: string; lane: LaneClass }[]
  /** agent.control with its namespace: tells a lost offset from one that never was. */
  controlTopic: string
  /** Stable over restarts, unique in the group: decides which partitions come here. */
  replica: string
  handle: Handle
  /** Must not throw. What it throws is logged, and it is called again after a pause. */
  reject: Reject
  /** Records of one key are handled one at a time, in offset order. */
  orderKey?: (record: InboundRecord) => string
  /**
   * Of the records that a lane holds, the keys take turns in being started; those of one key start in offset order. From
   * the record's bytes and headers alone; asked once a record, and must not throw. What a lane holds is bounded, so that
   * a key still waits for records of others that stand before its own in the log. @default none: in offset order
   */
  fairKey?: (record: InboundRecord) => string
  /** Records handled at once in this process. Raise where the work waits for others. @default 256 */
  maxInFlight?: number
  /** Share of maxInFlight that batch lanes have while they have work, parts per million. @default 250_000 */
  batchSharePpm?: () => number
  /** Share of maxInFlight that batch lanes never take, so that interactive records find it free, ppm. @default 100_000 */
  interactiveReservePpm?: () => number
  /** Least time between two commits of a busy lane, ms; an idle one commits at once. @default 20 */
  commitIntervalMs?: number
  /**
   * The same for batch lanes. An open transaction hides what others write after it in the same partitions, so fewer and
   * larger ones leave interactive results seen sooner, and cost less; a crash repeats as much more work. @default 500
   */
  batchCommitIntervalMs?: number
  /** Records and outputs in memory above which fetching stops. @default 64 MiB */
  maxBufferedBytes?: number
  /** Records that a lane holds before its fetching stops. @default 2_048 */
  maxHeldRecords?: number
  /** Largest output record, uncompressed; a larger one is rejected. @default 4 MiB less 64 KiB */
  maxRecordBytes?: number
  /** Longest wait for work under way after a stop, ms. @default 15_000 */
  drainMs?: number
}

export const stageDefaults = {
  maxInFlight: 256,
  batchSharePpm: () => 250_000,
  interactiveReservePpm: () => 100_000,
  commitIntervalMs: 20,
  batchCommitIntervalMs: 500,
  maxBufferedBytes: 64 * 1024 * 1024,
  maxHeldRecords: 2_048,
  maxRecordBytes: 4 * 1024 * 1024 - 64 * 1024,
  drainMs: 15_000,
} satisfies Partial<StageOptions>

export interface StageStatus {
  /** In the group, with every lane open. */
  ready: boolean
  lanes: LaneStatus[]
  /** Records in the log of this process's lanes that are not handled yet, as of a few seconds ago at most. */
  lag: number
  inFlight: number
  oldestInFlightMs: number
  bufferedBytes: number
}

export interface Stage {
  /** Runs until `stop` fires; resolves once drained, committed and out of the group. */
  run(stop: AbortSignal): Promise<void>
  status(): StageStatus
}

const lagEveryMs = 5_000

/**
 * Reads topics and handles each record exactly once, as far as readers of committed records can tell: one lane a
 * partition, outputs and offset in one transaction. Handling itself may be repeated after a crash; its outputs are not.
 */
export function createStage(deps: StageDeps, given: StageOptions): Stage {
  const options = { ...stageDefaults, ...given }
  const { group, topics, commitIntervalMs, batchCommitIntervalMs } = options
  // One life of this process, for the poison memory.
  const owner = randomUUID()
  const laneClasses = new Map(topics.map((topic) => [topic.name, topic.lane]))
  const lanes = new Map<string, Lane>()
  const logEnds = new Map<string, number>()
  const closing = new Set<Promise<void>>()
  let waiters: (() => void)[] = []
  let memberId: string | null = null
  let isMember = false
  let draining = false
  let admin: Admin

  const pace = createBatchPace({
    nowMs: deps.nowMs,
    busyMs: () => performance.eventLoopUtilization().active,
    later: (act, ms) => void (ms === 0 ? setImmediate(act) : setTimeout(act, ms)),
    resume: () => slots.pump(),
  })
  const slots = createSlots({ ...options, pace })
  const bytes = createByteBudget({ onChange: updateFetching }, { maxBytes: options.maxBufferedBytes })
  const turn = createTurn()
  const batchCommits = createCommitTurns()
  const loop: ConsumerLoop = createConsumerLoop(deps, {
    clientId: `${group}.${options.replica}`,
    config: { ...consumerConfig(group), partitionAssigners: [rendezvousAssigner(options.replica)] },
    topics: topics.map((topic) => topic.name),
    events: {
      joined: onJoined,
      heartbeat: wake,
      fetched(batch) {
        logEnds.set(laneName(group, batch.topic, batch.partition), batch.highWatermark)
        lanes.get(laneName(group, batch.topic, batch.partition))?.accept(batch)
      },
      left() {
        isMember = false
      },
    },
  })

  function updateFetching(): void {
    for (const lane of lanes.values()) lane.updateFetching()
  }

  /** Whoever waits to know whether a lane is still here may look. */
  function wake(): void {
    isMember = true
    const woken = waiters
    waiters = []
    for (const resolve of woken) resolve()
  }

  /** Comes before the first fetch after a rebalance: new lanes are paused until they have fenced and read their offset. */
  function onJoined(assignment: ReadonlyMap<string, readonly number[]>, joinedAs: string): void {
    const interrupted = memberId !== null && memberId !== joinedAs
    memberId = joinedAs
    const mine = new Set<string>()
    for (const [topic, partitions] of assignment)
      for (const partition of partitions) mine.add(laneName(group, topic, partition))
    for (const [name, lane] of lanes) if (!mine.has(name)) give(name, lane)
    for (const lane of lanes.values()) lane.keep(interrupted)
    for (const [topic, partitions] of assignment)
      for (const partition of partitions) if (!lanes.has(laneName(group, topic, partition))) take(topic, partition)
    deps.log.info({ group, lanes: lanes.size, interrupted }, 'joined the group')
    wake()
  }

  function take(topic: string, partition: number): void {
    if (draining) {
      loop.pause(topic, partition)
      return
    }
    const name = laneName(group, topic, partition)
    const laneClass = laneClasses.get(topic) ?? 'batch'
    const transactionalId = transactionalIdOf(group, topic, partition)
    const lane = createLane(
      {
        newProducer: () => deps.kafka(transactionalId).producer(producerConfig(transactionalId)),
        laneLog: createLaneLog(admin, { group, topic, partition }),
        whyMissing: () => explainMissingOffset(deps, { ...options, topic, partition }),
        fetching: {
          seek: (offset) => loop.seek(topic, partition, offset),
          pause: () => loop.pause(topic, partition),
          resume: () => loop.resume(topic, partition),
        },
        stillOwned: async () => {
          await new Promise<void>((resolve) => waiters.push(resolve))
          return lanes.get(name) === lane
        },
        slots,
        bytes,
        suspicion: createSuspicion(
          { memory: deps.poison, turn, log: deps.log },
          // What started after the last commit is among these: with fair keys it need not be the next in the log.
          {
            lane: name,
            owner,
            windowRecords: 2 * options.maxInFlight + (options.fairKey ? options.maxHeldRecords : 0),
          },
        ),
        journal: deps.journal,
        turns: laneClass === 'batch' ? batchCommits : undefined,
        handle: async (record, signal) => carryHeaders(record, await options.handle(record, signal)),
        reject: async (record, error) => carryHeaders(record, await options.reject(record, error)),
        metrics: deps.metrics,
        nowMs: deps.nowMs,
        log: deps.log,
      },
      {
        ...options,
        topic,
        partition,
        laneClass,
        commitIntervalMs: laneClass === 'batch' ? Math.max(commitIntervalMs, batchCommitIntervalMs) : commitIntervalMs,
        orderKey: options.orderKey,
        fairKey: options.fairKey,
      },
    )
    lanes.set(name, lane)
    slots.add(lane)
    lane.open()
  }

  function give(name: string, lane: Lane): void {
    lanes.delete(name)
    logEnds.delete(name)
    slots.remove(lane)
    const done = lane.close()
    closing.add(done)
    void done.finally(() => closing.delete(done))
  }

  /** Paused and idle partitions tell nothing of their end by being fetched. */
  async function followLogEnds(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      await sleep(lagEveryMs, undefined, { signal: stop }).catch(() => {})
      const read = new Set([...lanes.values()].map((lane) => lane.topic))
      for (const topic of read) {
        if (stop.aborted) return
        try {
          for (const { partition, high } of await admin.fetchTopicOffsets(topic)) {
            const name = laneName(group, topic, partition)
            if (lanes.has(name)) logEnds.set(name, Number(high))
          }
        } catch (error) {
          deps.log.debug({ topic, err: error }, 'cannot read where the log ends')
        }
      }
    }
  }

  function lagOf(lane: LaneStatus): number {
    const end = logEnds.get(laneName(group, lane.topic, lane.partition))
    if (end === undefined || lane.position === null) return 0
    return Math.max(0, end - lane.position) + lane.waiting + lane.inFlight + lane.retrying + lane.finished
  }

  function lagByTopic(): Record<string, number> {
    const lag: Record<string, number> = Object.fromEntries(topics.map((topic) => [topic.name, 0]))
    for (const lane of lanes.values()) lag[lane.topic] = (lag[lane.topic] ?? 0) + lagOf(lane.status())
    return lag
  }

  function status(): StageStatus {
    const all = [...lanes.values()].map((lane) => lane.status())
    return {
      ready: isMember && all.every((lane) => lane.state === 'open'),
      lanes: all,
      lag: all.reduce((sum, lane) => sum + lagOf(lane), 0),
      inFlight: slots.inFlight(),
      oldestInFlightMs: Math.max(0, ...all.map((lane) => lane.oldestInFlightMs)),
      bufferedBytes: bytes.held(),
    }
  }

  /** Lets what is under way finish and commit; the consumer stays in the group meanwhile, so that the lanes stay ours. */
  async function drain(): Promise<void> {
    draining = true
    const deadline = AbortSignal.timeout(options.drainMs)
    await Promise.all([...lanes.values()].map((lane) => lane.drain(deadline)))
    if (deadline.aborted) deps.log.warn({ group, drainMs: options.drainMs }, 'drain ran out of time; work is aborted')
  }

  async function connectAdmin(stop: AbortSignal): Promise<void> {
    while (!stop.aborted)
      try {
        await abortable(admin.connect(), stop)
        return
      } catch (error) {
        if (stop.aborted) return
        deps.log.warn({ group, err: error }, 'no broker can be reached; trying again')
        await sleep(1_000, undefined, { signal: stop }).catch(() => {})
      }
  }

  return {
    status,
    async run(stop) {
      admin = deps.kafka(`${group}.${options.replica}.admin`).admin()
      await connectAdmin(stop)
      // Nothing is held yet, and a broker that is away would hold up the end.
      if (stop.aborted) {
        await admin.disconnect().catch(() => {})
        return
      }
      const left = new AbortController()
      deps.metrics?.watch(() => ({ ...status(), lag: lagByTopic() }))
      const watching = followLogEnds(stop)
      const consuming = loop.run(left.signal)
      await aborted(stop)
      await drain()
      left.abort()
      await consuming
      for (const [name, lane] of lanes) give(name, lane)
      await Promise.all(closing)
      await watching
      await admin.disconnect().catch(() => {})
      deps.log.info({ group }, 'stage stopped')
    },
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
