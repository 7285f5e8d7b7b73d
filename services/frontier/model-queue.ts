import { providerQueue } from '#lib/ledger/provider-window'
import { setTimeout as sleep } from 'node:timers/promises'
import { circuitBreaker, CircuitState, ConsecutiveBreaker, handleWhen } from 'cockatiel'
import { inNamespace } from '#lib/events/topics'
import type { ProviderLimits } from '#lib/ledger/provider-limits'
import type { Keys } from '#lib/erasure/step-texts'
import type { StoredAnswers } from '#lib/ledger/stored-answers'
import { ModelCallError, type CallFailure } from '#lib/models/model-call-error'
import type { LaneClass } from '#lib/stream/capacity'
import { describeError } from '#lib/telemetry/logger'
import type { NamedPlace } from '#lib/worker/permits'
import { createAccountPause } from './account-pause.ts'
import { createCallGate, type CallLimits } from './call-gate.ts'
import { openJobQueue, type JobQueue, type JobQueueDeps } from './job-queue.ts'
import { type QueuedIds } from './lane-job.ts'
import { processCall, type ProcessCallDeps } from './process-call.ts'
import type { ProviderChat } from './provider-chat.ts'
import type { ProviderMetrics } from './provider-metrics.ts'

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
  limits: CallLimits
  /** Every setting that makes it another queue when changed. */
  identity: string
}

export interface ModelQueue {
  readonly spec: ModelQueueSpec
  /** Provider and model. */
  readonly name: string
  add(jobId: string, ids: QueuedIds, laneClass: LaneClass): Promise<void>
  has(jobId: string, laneClass: LaneClass): Promise<boolean>
  /** Calls back when a job ends, here or in another replica. Returns what stops that. */
  onEnd(jobId: string, listener: () => void): () => void
  /** False while calls are not even tried. */
  closed(): boolean
  /** Jobs that wait or run, in all replicas; null while Redis does not say. */
  length(): Promise<number | null>
  /** What of the spec may change. */
  apply(spec: Pick<ModelQueueSpec, 'maxInFlight' | 'limits'>): void
  /** Waits `graceMs` for calls under way, then cuts them off. */
  close(graceMs: number): Promise<void>
}

export interface ModelQueueDeps extends JobQueueDeps {
  answers: StoredAnswers
  keys: Keys
  limits: ProviderLimits
  policies: ProcessCallDeps['policies']
  orders: ProcessCallDeps['orders']
  holdCalls: ProcessCallDeps['holdCalls']
  ledgerStands: () => Promise<boolean>
  batchSharePpm: () => number
  interactiveReservePpm: () => number
  isGuest: boolean
  metrics: ProviderMetrics
  monotonicMs: () => number
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
  /** How long a provider whose account has no money left is left alone, ms. @default 60_000 */
  accountPauseMs: number
}

export const modelQueueDefaults = { maxCalls: 4, failuresToOpen: 5, openMs: 10_000, accountPauseMs: 60_000 }

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
 * The queue of one provider and model: in BullMQ two, one for interactive steps and one for batch steps, so that neither
 * stands behind the other while it waits for its part of the provider's limits. They share the slots of this process, the
 * circuit breaker and the gate. That a call is not made twice follows from the stored attempt alone, so that a job may be
 * added again at any time.
 */
export function openModelQueue(deps: ModelQueueDeps, spec: ModelQueueSpec, options: ModelQueueOptions): ModelQueue {
  const { place, model } = spec
  const name = providerQueue(place.id, model)
  const log = deps.log.child({ queue: name })
  const listeners = new Map<string, Set<() => void>>()
  const closing = new AbortController()
  const cutOff = new AbortController()
  const breaker = circuitBreaker(
    handleWhen((error) => error instanceof ModelCallError && providerFaults.has(error.reason)),
    { halfOpenAfter: options.openMs, breaker: new ConsecutiveBreaker(options.failuresToOpen) },
  )
  breaker.onBreak(() => log.warn('circuit breaker opened'))
  breaker.onReset(() => log.info('circuit breaker closed'))
  const onExhausted = () => {
    log.error("the provider's account has no money left; its steps go elsewhere")
    deps.metrics.accountExhausted(place.id, model)
  }
  const account = createAccountPause({ nowMs: deps.nowMs, onExhausted }, { pauseMs: options.accountPauseMs })
  const gate = createCallGate(
    { ...deps, log, onWait: (laneClass, waitsFor) => deps.metrics.waited(place.id, model, laneClass, waitsFor) },
    { queue: name, maxInFlight: spec.maxInFlight, ...spec.limits },
  )
  void beginToCount(spec.limits)

  const calls = {
    ...deps,
    chat: spec.provider.chat,
    breaker,
    gate,
    account,
    onUsageProblem: (problem: Parameters<ProviderMetrics['usageRejected']>[2]) => {
      log.warn({ problem }, 'the usage cannot be: the call is charged at its bound')
      deps.metrics.usageRejected(place.id, model, problem)
    },
  }
  const jobs: Record<LaneClass, JobQueue> = { interactive: openJobs('interactive'), batch: openJobs('batch') }

  function openJobs(laneClass: LaneClass): JobQueue {
    const call = { place, laneClass, modelName: spec.modelName, maxCalls: options.maxCalls }
    const signals = { closing: closing.signal, cutOff: cutOff.signal }
    return openJobQueue(
      { ...deps, log },
      {
        name: laneClass === 'batch' ? `${name}~batch` : name,
        prefix: inNamespace(options.namespace, 'frontier'),
        concurrency: spec.maxInFlight,
        process: (jobId) => processCall(calls, call, { queue: name, jobId }, signals),
        onEnd: (jobId) => listeners.get(jobId)?.forEach((listener) => listener()),
      },
    )
  }

  /**
   * Where nobody counts yet, the window without calls begins now, and not with the first step. Not while there is no
   * ledger: it knows whether anything was ever called, and opens the window at once where nothing was.
   */
  async function beginToCount({ window }: CallLimits): Promise<void> {
    if (!window) return
    try {
      if (!(await deps.ledgerStands())) return
      const begun = await deps.limits.initialise(name, window, false)
      if (begun) log.info(window, 'nobody knows what was called before: no call for one window')
    } catch (error) {
      log.warn({ err: describeError(error) }, 'cannot begin to count against the limits')
    }
  }

  return {
    spec,
    name,
    add: (jobId, ids, laneClass) => jobs[laneClass].add(jobId, ids),
    has: (jobId, laneClass) => jobs[laneClass].has(jobId),
    onEnd(jobId, listener) {
      const known = listeners.get(jobId) ?? new Set()
      listeners.set(jobId, known.add(listener))
      return () => {
        known.delete(listener)
        if (known.size === 0) listeners.delete(jobId)
      }
    },
    closed: () => breaker.state === CircuitState.Open || account.isExhausted(),
    async length() {
      const lengths = await Promise.all(Object.values(jobs).map((each) => each.length()))
      return lengths.reduce<number | null>((sum, each) => (sum === null || each === null ? null : sum + each), 0)
    },
    apply({ maxInFlight, limits }) {
      gate.apply(limits, maxInFlight)
      void beginToCount(limits)
      for (const each of Object.values(jobs)) each.setConcurrency(maxInFlight)
    },
    async close(graceMs) {
      closing.abort()
      const finished = Promise.all(Object.values(jobs).map((each) => each.drain()))
      const ended = new AbortController()
      const late = sleep(graceMs, undefined, { signal: ended.signal }).then(
        () => cutOff.abort(),
        () => undefined,
      )
      // After the cut-off each call fails at once; a Redis that does not answer must not hold the process up.
      await Promise.race([finished, late.then(() => sleep(1_000, undefined, { ref: false }))])
      ended.abort()
      await Promise.all(Object.values(jobs).map((each) => each.close()))
    },
  }
}
