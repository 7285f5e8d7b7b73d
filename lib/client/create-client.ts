import type { Logger } from 'pino'
import { ShuntError } from '#lib/errors'
import { sealPublished, type Keys } from '#lib/erasure/step-texts'
import type { Codec } from '#lib/events/codec'
import { inNamespace, twinFor } from '#lib/events/topics'
import type { StepResult } from '#lib/events/types.generated'
import { validateFeedback } from '#lib/events/validate-feedback'
import type { KafkaFactory } from '#lib/stream/kafka'
import { createTail } from '#lib/stream/tail'
import type { InboundRecord } from '#lib/stream/types'
import { decodeResult, openResult } from './decode-result.ts'
import { completeFeedback, type FeedbackInput } from './feedback-input.ts'
import { createPublisher, type Publishable, type PublisherOptions, type PublishOptions } from './publisher.ts'
import { listResultsTopics } from './results-topics.ts'
import { completeStep, type StepInput } from './step-input.ts'
import { withAdmin } from './topic-range.ts'
import { createWaits, type RecordPlace, type StepKey, type WaitOptions, type WaitsOptions } from './waits.ts'

export interface ClientDeps {
  kafka: KafkaFactory
  codec: Codec
  log: Logger
  /** Texts of tenants that have a key are sealed, and opened. @default none: plain */
  keys?: Keys
}

export interface ClientOptions extends PublisherOptions, WaitsOptions {
  /** false: for publishers that wait for nothing; `awaitResult` then throws. @default true */
  results?: boolean
}

export type PublishAllOptions<T> = PublishOptions & {
  onPublished?: (item: T, place: RecordPlace) => void
  onFailed?: (item: T, error: unknown) => void
}

/** Acknowledgement of what was put in the queue; settles later and must be looked after. */
type Enqueued = Promise<{ acknowledged: Promise<RecordPlace> }>

export interface Client {
  /**
   * Resolves with the record's place once the broker has it. Waits while too much is unacknowledged.
   * Throws SHUNT_EVENT_INVALID, SHUNT_EVENT_TOO_LARGE, SHUNT_TOPICS_NOT_APPLIED, SHUNT_DATA_KEYS_UNAVAILABLE (retryable),
   * SHUNT_KAFKA_UNAVAILABLE (retryable: the step may be there all the same, and publishing it again is safe).
   */
  publish(step: StepInput, options?: PublishOptions): Promise<RecordPlace>
  /**
   * Publishes as many as there is room for at a time, pulling from `steps` no faster. `onPublished` and `onFailed` are
   * called once a step. Throws only what `steps` throws, or the signal's reason.
   */
  publishAll(
    steps: Iterable<StepInput> | AsyncIterable<StepInput>,
    options: PublishAllOptions<StepInput>,
  ): Promise<void>
  /**
   * Publishes the caller's verdict on an answer to agent.feedback. Throws as `publish`; sending it again is safe, the last
   * verdict on a step counts.
   */
  feedback(feedback: FeedbackInput, options?: PublishOptions): Promise<RecordPlace>
  /** As publishAll, of verdicts. */
  feedbackAll(
    feedback: Iterable<FeedbackInput> | AsyncIterable<FeedbackInput>,
    options: PublishAllOptions<FeedbackInput>,
  ): Promise<void>
  /**
   * The step's one terminal result, whatever its status; an answer that does not open stays a JWE. Knows of results since the client started: one of before comes
   * from `readResults`. Throws SHUNT_AWAIT_TIMEOUT, or the signal's reason.
   */
  awaitResult(key: StepKey, options?: WaitOptions): Promise<StepResult>
  /** Publishes and awaits. */
  ask(step: StepInput, options?: PublishOptions & WaitOptions): Promise<StepResult>
  /** Calls `listener` for every result of any step; returns how to stop that. */
  onResult(listener: (result: StepResult, record: InboundRecord) => void): () => void
  /** Sends what is queued, fails what still waits, and disconnects. */
  close(): Promise<void>
}

/**
 * Publishes steps and awaits their results. ONE client a process is enough, and the idea: its single consumer of
 * agent.results, and of the topics for results that tenants have now, serves any number of waits. That consumer has its
 * position before this resolves, so that no result of a step that is published later can be missed.
 * Throws SHUNT_KAFKA_UNAVAILABLE (retryable) or SHUNT_TOPICS_NOT_APPLIED.
 */
export async function createClient(deps: ClientDeps, options: ClientOptions): Promise<Client> {
  const follows = options.results ?? true
  const waits = createWaits(options)
  const publisher = createPublisher(deps, options)
  const listeners = new Set<(result: StepResult, record: InboundRecord) => void>()

  async function receive(record: InboundRecord): Promise<void> {
    const decoded = await decodeResult(deps, record)
    if (!decoded) return
    const result = await openResult(deps, decoded)
    waits.offer(result)
    for (const listener of listeners) listener(result, record)
  }

  await withAdmin(
    deps,
    (['agent.steps', 'agent.steps.batch'] as const).map((name) => inNamespace(options.namespace, name)),
    () => Promise.resolve(),
  )
  const tail = follows
    ? createTail(deps, {
        topics: await listResultsTopics(deps, options.namespace),
        from: 'end',
        onRecord: receive,
      })
    : undefined
  try {
    await Promise.all([tail?.caughtUp, publisher.connect()])
  } catch (error) {
    await Promise.allSettled([tail?.stop(), publisher.close()])
    throw error
  }

  async function enqueueStep(input: StepInput, options: PublishOptions): Enqueued {
    const step = completeStep(input)
    if (follows) waits.publishing(step)
    try {
      const topic = twinFor('agent.steps', step.priority)
      const value = deps.codec.encode('step', await sealPublished(deps.keys ?? null, step))
      const record: Publishable = { topic, key: step.taskId, value, what: `step ${step.stepId}` }
      const { acknowledged } = await publisher.enqueue(record, options)
      return {
        acknowledged: acknowledged.then(
          (place) => {
            waits.published(step, place.offset < 0 ? undefined : place)
            return place
          },
          (error: unknown) => {
            waits.published(step, undefined)
            throw error
          },
        ),
      }
    } catch (error) {
      waits.published(step, undefined)
      throw error
    }
  }

  let feedbackTopic: Promise<void> | undefined
  /** Asked once, and only by those who use it: many publishers never do, and need no right to. */
  function demandFeedbackTopic(): Promise<void> {
    feedbackTopic ??= withAdmin(deps, [inNamespace(options.namespace, 'agent.feedback')], () => Promise.resolve())
    return feedbackTopic.catch((error: unknown) => {
      feedbackTopic = undefined
      throw error
    })
  }

  async function enqueueFeedback(input: FeedbackInput, options: PublishOptions): Enqueued {
    const feedback = completeFeedback(input, Date.now())
    validateFeedback(feedback)
    await demandFeedbackTopic()
    const value = deps.codec.encode('step-feedback', feedback)
    const what = `feedback on step ${feedback.stepId}`
    return publisher.enqueue({ topic: 'agent.feedback', key: feedback.taskId, value, what }, options)
  }

  const client: Client = {
    async publish(step, options = {}) {
      const { acknowledged } = await enqueueStep(step, options)
      return acknowledged
    },

    publishAll: (steps, options) => enqueueAll(steps, enqueueStep, options),

    async feedback(feedback, options = {}) {
      const { acknowledged } = await enqueueFeedback(feedback, options)
      return acknowledged
    },

    feedbackAll: (feedback, options) => enqueueAll(feedback, enqueueFeedback, options),

    async awaitResult(key, options) {
      if (!follows) throw new ShuntError('SHUNT_CONFIG_INVALID', 'the client was created with results: false')
      return waits.wait(key, options)
    },

    async ask(step, options = {}) {
      const stop = new AbortController()
      const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal
      const result = client.awaitResult(step, { ...options, signal })
      result.catch(() => {})
      try {
        await client.publish(step, options)
      } catch (error) {
        stop.abort(error)
      }
      return result
    },

    onResult(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },

    async close() {
      await publisher.close()
      waits.close(new ShuntError('SHUNT_AWAIT_TIMEOUT', 'the client was closed before the result came'))
      listeners.clear()
      await tail?.stop()
    },
  }
  return client
}

/** As many at a time as there is room for, pulling from `items` no faster. */
async function enqueueAll<T>(
  items: Iterable<T> | AsyncIterable<T>,
  enqueue: (item: T, options: PublishOptions) => Enqueued,
  { onPublished, onFailed, ...options }: PublishAllOptions<T>,
): Promise<void> {
  const open = new Set<Promise<void>>()
  for await (const item of items) {
    options.signal?.throwIfAborted()
    const failed = (error: unknown): void => {
      if (!options.signal?.aborted) onFailed?.(item, error)
    }
    try {
      const { acknowledged } = await enqueue(item, options)
      const settled = acknowledged
        .then((place) => onPublished?.(item, place), failed)
        .finally(() => open.delete(settled))
      open.add(settled)
    } catch (error) {
      failed(error)
    }
  }
  await Promise.all(open)
  options.signal?.throwIfAborted()
}
