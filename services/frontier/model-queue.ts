import { setTimeout as sleep } from 'node:timers/promises'
import { DelayedError, Queue, QueueEvents, RateLimitError, Worker, type Job } from 'bullmq'
import { circuitBreaker, CircuitState, ConsecutiveBreaker, handleWhen } from 'cockatiel'
import type { Redis } from 'ioredis'
import { inNamespace } from '#lib/events/topics'
import { redisError } from '#lib/ledger/lua-script'
import type { StoredAnswers } from '#lib/ledger/stored-answers'
import { ModelCallError, type CallFailure } from '#lib/models/model-call-error'
import { describeError, type Logger } from '#lib/telemetry/logger'
import type { NamedPlace } from '#lib/worker/permits'
import { queueNameOf, type QueuedIds } from './lane-job.ts'
import { processCall, type ProcessCallDeps } from './process-call.ts'
import type { ProviderChat } from './provider-chat.ts'

/** A provider of the policy in force, for one of its models. */
export interface ModelQueueSpec {
  place: NamedPlace
  /** Id in the policy. */
  model: string
  /** As the provider knows the model. */
  modelName: string
  provider: ProviderChat
  /** Calls in flight, of this model in this process. */
  maxInFlight: number
  /** Every setting that makes it another queue when changed. */
  identity: string
}

export interface ModelQueue {
  readonly spec: ModelQueueSpec
  /** Provider and model. */
  readonly name: string
  add(jobId: string, ids: QueuedIds, priority: 1 | 2): Promise<void>
  has(jobId: string): Promise<boolean>
  /** Calls back when a job ends, here or in another replica. Returns what stops that. */
  onEnd(jobId: string, listener: () => void): () => void
  /** False while calls are not even tried. */
  closed(): boolean
  /** Jobs that wait or run, in all replicas; null while Redis does not say. */
  length(): Promise<number | null>
  setMaxInFlight(maxInFlight: number): void
  /** Waits `graceMs` for calls under way, then cuts them off. */
  close(graceMs: number): Promise<void>
}

export interface ModelQueueDeps {
  answers: StoredAnswers
  policies: ProcessCallDeps['policies']
  orders: ProcessCallDeps['orders']
  /** Fails fast: what cannot be added waits in its lane. */
  redis: Redis
  /** Waits for Redis, as BullMQ's workers need it; maxRetriesPerRequest null. */
  workerRedis: Redis
  log: Logger
  nowMs: () => number
  random: () => number
}

export interface ModelQueueOptions {
  namespace: string
  /** Calls of one attempt in all. @default 4 */
  maxCalls: number
  /** Failures in a row that open the circuit breaker. @default 5 */
  failuresToOpen: number
  /** How long it stays open before one call tries, ms. @default 10_000 */
  openMs: number
}

export const modelQueueDefaults = { maxCalls: 4, failuresToOpen: 5, openMs: 10_000 }

/** What speaks against the provider, and not against the request, the key or the clock. */
const providerFaults: ReadonlySet<CallFailure> = new Set([
  'overloaded',
  'server_error',
  'unreachable',
  'cut_off',
  'malformed',
  'timeout',
])

/**
 * The queue of one provider and model, with the worker of this process: one queue each, since a provider's pause holds
 * up a whole queue. A job that ends leaves nothing behind in BullMQ; that a call is not made twice follows from the
 * stored attempt alone, so that a job may be added again at any time.
 */
export function openModelQueue(deps: ModelQueueDeps, spec: ModelQueueSpec, options: ModelQueueOptions): ModelQueue {
  const name = queueNameOf(spec.place.id, spec.model)
  const prefix = inNamespace(options.namespace, 'frontier')
  const log = deps.log.child({ queue: name })
  const listeners = new Map<string, Set<() => void>>()
  const cutOff = new AbortController()
  const breaker = circuitBreaker(
    handleWhen((error) => error instanceof ModelCallError && providerFaults.has(error.reason)),
    { halfOpenAfter: options.openMs, breaker: new ConsecutiveBreaker(options.failuresToOpen) },
  )
  breaker.onBreak(() => log.warn('circuit breaker opened'))
  breaker.onReset(() => log.info('circuit breaker closed'))

  const queue = new Queue<QueuedIds>(name, { connection: deps.redis, prefix, skipWaitingForReady: true })
  const events = new QueueEvents(name, { connection: deps.workerRedis, prefix })
  const place = spec.place
  const worker = new Worker<QueuedIds>(name, (job, token) => work(job, token), {
    connection: deps.workerRedis,
    prefix,
    concurrency: spec.maxInFlight,
    // A job whose process died is taken up by another after at most lock and interval together.
    lockDuration: 20_000,
    stalledInterval: 10_000,
  })
  const warn = (error: Error) => log.warn({ err: describeError(error) }, 'BullMQ')
  queue.on('error', warn)
  events.on('error', warn)
  worker.on('error', warn)
  const wake = ({ jobId }: { jobId: string }) => listeners.get(jobId)?.forEach((listener) => listener())
  events.on('completed', wake)
  events.on('failed', wake)

  async function work(job: Job<QueuedIds>, token: string | undefined): Promise<void> {
    const calls = {
      answers: deps.answers,
      policies: deps.policies,
      orders: deps.orders,
      chat: spec.provider.chat,
      breaker,
    }
    const outcome = await processCall(
      { ...calls, nowMs: deps.nowMs, random: deps.random },
      { place, modelName: spec.modelName, maxCalls: options.maxCalls },
      { queue: name, jobId: job.id! },
      cutOff.signal,
    )
    if (outcome.kind === 'done') return
    if (outcome.kind === 'rate_limited') {
      await queue.rateLimit(outcome.waitMs)
      throw new RateLimitError()
    }
    await job.moveToDelayed(deps.nowMs() + outcome.waitMs, token)
    throw new DelayedError()
  }

  return {
    spec,
    name,
    async add(jobId, ids, priority) {
      try {
        await queue.add('call', ids, { jobId, priority, removeOnComplete: true, removeOnFail: true })
      } catch (error) {
        throw redisError(error)
      }
    },
    async has(jobId) {
      try {
        return (await queue.getJob(jobId)) !== undefined
      } catch (error) {
        throw redisError(error)
      }
    },
    onEnd(jobId, listener) {
      const known = listeners.get(jobId) ?? new Set()
      listeners.set(jobId, known.add(listener))
      return () => {
        known.delete(listener)
        if (known.size === 0) listeners.delete(jobId)
      }
    },
    closed: () => breaker.state === CircuitState.Open,
    length: () => queue.getJobCountByTypes('wait', 'prioritized', 'delayed', 'active').catch(() => null),
    setMaxInFlight(maxInFlight) {
      worker.concurrency = maxInFlight
    },
    async close(graceMs) {
      const finished = worker.close()
      const ended = new AbortController()
      const late = sleep(graceMs, undefined, { signal: ended.signal }).then(
        () => cutOff.abort(),
        () => undefined,
      )
      // After the cut-off each call fails at once; a Redis that does not answer must not hold the process up.
      await Promise.race([finished, late.then(() => sleep(1_000, undefined, { ref: false }))])
      ended.abort()
      await Promise.allSettled([events.close(), queue.close(), worker.close(true)])
    },
  }
}
