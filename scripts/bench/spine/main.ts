import { startGuardian } from '../../../cli/stack/guardian.ts'
import { createRunDirectory, removeRunDirectory } from '../../../cli/stack/run-directory.ts'
import { startInfrastructure, type Infrastructure } from '../../../cli/stack/stack.ts'
import { printFigure, type Figure } from '../figures.ts'
import { startBackend, type BackendOptions, type SimulatedBackend } from './backend.ts'
import { startBenchStack, type BenchStack } from './bench-stack.ts'
import { classifierThroughput } from './classifier-throughput.ts'
import { awaitLatency, idleLatency } from './latency.ts'
import { manySteps, memoryOfLargeSteps, memoryOfManySteps } from './memory.ts'
import { poolThroughput } from './pool-throughput.ts'
import { slowMarker, slowStep } from './slow-step.ts'
import { stalledCommit } from './stalled-commit.ts'

interface Part {
  /** The simulated one of the pool. */
  backend: BackendOptions
  measure: (stack: BenchStack, backend: SimulatedBackend) => Promise<Figure[]>
}

const partitions = 4
const poolLoad = { latencyMs: 200, slots: 256 }

const parts: Record<string, Part> = {
  classifier: {
    backend: { latencyMs: 0, slots: 256 },
    measure: (stack) => classifierThroughput(stack, partitions),
  },
  idle: {
    backend: { latencyMs: 0, slots: 256 },
    measure: async (stack) => {
      await Promise.all([stack.startService('classifier'), stack.startService('oss-pool')])
      return idleLatency(stack)
    },
  },
  awaits: {
    backend: { latencyMs: 200, slots: 64 },
    measure: async (stack) => {
      await Promise.all([stack.startService('classifier'), stack.startService('oss-pool')])
      return awaitLatency(stack)
    },
  },
  pool: {
    backend: poolLoad,
    measure: (stack, backend) => poolThroughput(stack, backend, { ...poolLoad, partitions }),
  },
  'slow-step': {
    backend: { ...poolLoad, slow: { marker: slowMarker, ms: 10_000 } },
    measure: slowStep,
  },
  memory: {
    // Long enough for all of them to be under way together.
    backend: { latencyMs: 20_000, slots: manySteps },
    measure: memoryOfManySteps,
  },
  'memory-large': {
    backend: { latencyMs: 200, slots: 32 },
    measure: memoryOfLargeSteps,
  },
  'stalled-commit': {
    backend: { latencyMs: 50, slots: 256 },
    measure: stalledCommit,
  },
}

/** The figures of the spine. Each part has a namespace and services of its own, on one Kafka, registry and Redis. */
export async function benchSpine(options: { only?: string[] | undefined }): Promise<Figure[]> {
  const unknown = options.only?.filter((name) => !Object.hasOwn(parts, name)) ?? []
  if (unknown.length > 0) throw new Error(`no part ${unknown.join(', ')}; there are ${Object.keys(parts).join(', ')}`)
  const dir = await createRunDirectory('start')
  startGuardian(dir)
  const infrastructure = await startInfrastructure({ dir, env: process.env, names: ['kafka', 'registry', 'redis'] })
  const figures: Figure[] = []
  try {
    for (const [name, part] of Object.entries(parts)) {
      if (options.only && !options.only.includes(name)) continue
      console.log(`\n${name}`)
      for (const figure of await runPart(part, infrastructure, dir)) {
        printFigure(figure)
        figures.push(figure)
      }
    }
  } finally {
    await infrastructure.stop()
    await removeRunDirectory(dir)
  }
  return figures
}

async function runPart(part: Part, infrastructure: Infrastructure, dir: string): Promise<Figure[]> {
  const backend = await startBackend(part.backend)
  try {
    const stack = await startBenchStack({
      infrastructure,
      dir,
      partitions,
      ossUrl: backend.url,
      maxInFlight: part.backend.slots,
    })
    try {
      return await part.measure(stack, backend)
    } finally {
      await stack.stop()
    }
  } finally {
    await backend.stop()
  }
}
