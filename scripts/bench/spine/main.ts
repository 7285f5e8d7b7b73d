import { startGuardian } from '../../../cli/stack/guardian.ts'
import { createRunDirectory, removeRunDirectory } from '../../../cli/stack/run-directory.ts'
import { startInfrastructure, type Infrastructure } from '../../../cli/stack/stack.ts'
import { printFigure, type Figure } from '../figures.ts'
import { startBackend, startBenchStack, type BenchStack, type SimulatedBackend } from './bench-stack.ts'
import { classifierThroughput } from './classifier-throughput.ts'
import { awaitLatency, idleLatency } from './latency.ts'

interface Part {
  /** Of the simulated backend. */
  backend: { latencyMs: number; slots: number; slow?: { marker: string; ms: number } }
  partitions: number
  measure: (stack: BenchStack) => Promise<Figure[]>
}

const parts: Record<string, Part> = {
  classifier: {
    backend: { latencyMs: 0, slots: 256 },
    partitions: 4,
    measure: (stack) => classifierThroughput(stack, 4),
  },
  latency: {
    backend: { latencyMs: 0, slots: 256 },
    partitions: 4,
    async measure(stack) {
      await Promise.all([stack.startService('classifier'), stack.startService('oss-pool')])
      return [...(await idleLatency(stack)), ...(await awaitLatency(stack))]
    },
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
  const backend: SimulatedBackend = await startBackend(part.backend)
  const { partitions } = part
  const stack = await startBenchStack({
    infrastructure,
    dir,
    partitions,
    ossUrl: backend.url,
    maxInFlight: part.backend.slots,
  })
  try {
    return await part.measure(stack)
  } finally {
    await stack.stop()
    await backend.stop()
  }
}
