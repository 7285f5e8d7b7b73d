import type { Figure } from '../figures.ts'
import { runParts, type Measure } from '../run-parts.ts'
import { classifierThroughput } from './classifier-throughput.ts'
import { awaitLatency, idleLatency } from './latency.ts'
import { manySteps, memoryOfLargeSteps, memoryOfManySteps } from './memory.ts'
import { poolThroughput } from './pool-throughput.ts'
import { priority } from './priority.ts'
import { sampleRun } from './sample-run.ts'
import { slowMarker, slowStep } from './slow-step.ts'
import { stalledCommit } from './stalled-commit.ts'
import { benchPartitions as partitions, withBackend } from './with-backend.ts'

const poolLoad = { latencyMs: 200, slots: 256 }

const parts: Record<string, Measure> = {
  start: sampleRun,
  classifier: withBackend({ latencyMs: 0, slots: 256 }, (stack) => classifierThroughput(stack, partitions)),
  idle: withBackend({ latencyMs: 0, slots: 256 }, async (stack) => {
    await Promise.all([stack.startService('classifier'), stack.startService('oss-pool')])
    return idleLatency(stack)
  }),
  awaits: withBackend({ latencyMs: 200, slots: 64 }, async (stack) => {
    await Promise.all([stack.startService('classifier'), stack.startService('oss-pool')])
    return awaitLatency(stack)
  }),
  pool: withBackend(poolLoad, (stack, backend) => poolThroughput(stack, backend, { ...poolLoad, partitions })),
  'slow-step': withBackend({ ...poolLoad, slow: { marker: slowMarker, ms: 10_000 } }, slowStep),
  priority: withBackend(poolLoad, priority),
  // Long enough for all of them to be under way together.
  memory: withBackend({ latencyMs: 20_000, slots: manySteps }, memoryOfManySteps),
  'memory-large': withBackend({ latencyMs: 200, slots: 32 }, memoryOfLargeSteps),
  'stalled-commit': withBackend({ latencyMs: 50, slots: 256 }, (stack) => stalledCommit(stack, partitions)),
}

/** The figures of the spine. Each part has a namespace and services of its own. */
export function benchSpine(options: { only?: string[] | undefined }): Promise<Figure[]> {
  return runParts(parts, options.only)
}
