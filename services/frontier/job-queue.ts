import { DelayedError, Queue, QueueEvents, WaitingError, Worker, type Job } from 'bullmq'
import type { Redis } from 'ioredis'
import { redisError } from '#lib/ledger/lua-script'
import { describeError, type Logger } from '#lib/telemetry/logger'
import type { QueuedIds } from './lane-job.ts'
import type { CallOutcome } from './process-call.ts'

/** A queue of BullMQ with the worker of this process. Jobs hold ids alone, and leave nothing behind when they end. */
export interface JobQueue {
  add(jobId: string, ids: QueuedIds): Promise<void>
  /** Whether it waits or runs: false of what only a part is left of, which is removed. */
  has(jobId: string): Promise<boolean>
  /** Jobs that wait or run, in all replicas; null while Redis does not say. */
  length(): Promise<number | null>
  setConcurrency(jobs: number): void
  /** Takes up no more jobs; resolves when those under way have ended. */
  drain(): Promise<void>
  close(): Promise<void>
}

export interface JobQueueDeps {
  /** Fails fast: what cannot be added waits in its lane. */
  redis: Redis
  /** Waits for Redis, as BullMQ's workers need it; maxRetriesPerRequest null. */
  workerRedis: Redis
  log: Logger
  nowMs: () => number
}

export interface JobQueueOptions {
  name: string
  prefix: string
  concurrency: number
  process: (jobId: string) => Promise<CallOutcome>
  /** A job has ended, here or in another replica. */
  onEnd: (jobId: string) => void
}

export function openJobQueue(deps: JobQueueDeps, options: JobQueueOptions): JobQueue {
  const { name, prefix } = options
  const queue = new Queue<QueuedIds>(name, { connection: deps.redis, prefix, skipWaitingForReady: true })
  const events = new QueueEvents(name, { connection: deps.workerRedis, prefix })
  const worker = new Worker<QueuedIds>(name, (job, token) => work(job, token), {
    connection: deps.workerRedis,
    prefix,
    concurrency: options.concurrency,
    // A job whose process died is taken up by another after at most lock and interval together.
    lockDuration: 20_000,
    stalledInterval: 10_000,
  })
  const warn = (error: Error) => deps.log.warn({ err: describeError(error) }, 'BullMQ')
  queue.on('error', warn)
  events.on('error', warn)
  worker.on('error', warn)
  events.on('completed', ({ jobId }) => options.onEnd(jobId))
  events.on('failed', ({ jobId }) => options.onEnd(jobId))

  async function work(job: Job<QueuedIds>, token: string | undefined): Promise<void> {
    const outcome = await options.process(job.id!)
    switch (outcome.kind) {
      case 'done':
        return
      case 'again':
        await job.moveToDelayed(deps.nowMs() + outcome.waitMs, token)
        throw new DelayedError()
      case 'put_back':
        await job.moveToWait(token)
        throw new WaitingError()
    }
  }

  return {
    async add(jobId, ids) {
      try {
        await queue.add('call', ids, { jobId, removeOnComplete: true, removeOnFail: true })
      } catch (error) {
        throw redisError(error)
      }
    },
    async has(jobId) {
      try {
        const job = await queue.getJob(jobId)
        if (job === undefined) return false
        if ((await job.getState()) !== 'unknown') return true
        // In no list, which Redis has lost: nobody runs it, and another of its id would not be added beside it.
        return (await queue.remove(jobId)) === 0
      } catch (error) {
        throw redisError(error)
      }
    },
    length: () => queue.getJobCountByTypes('wait', 'prioritized', 'delayed', 'active').catch(() => null),
    setConcurrency(jobs) {
      worker.concurrency = jobs
    },
    drain: () => worker.close(),
    async close() {
      await Promise.allSettled([events.close(), queue.close(), worker.close(true)])
    },
  }
}
