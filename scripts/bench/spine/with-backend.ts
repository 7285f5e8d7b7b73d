import type { Figure } from '../figures.ts'
import type { Measure } from '../run-parts.ts'
import { startBackend, type BackendOptions, type SimulatedBackend } from './backend.ts'
import { startBenchStack, type BenchStack } from './bench-stack.ts'

/** Of each topic of a bench stack. */
export const benchPartitions = 4

/** In a namespace of its own, with a simulated backend for the pool. */
export function withBackend(
  options: BackendOptions,
  measure: (stack: BenchStack, backend: SimulatedBackend, dir: string) => Promise<Figure[]>,
): Measure {
  return async (infrastructure, dir) => {
    await using ended = new AsyncDisposableStack()
    const backend = ended.adopt(await startBackend(options), (started) => started.stop())
    const { url: ossUrl } = backend
    const stack = await startBenchStack({
      infrastructure,
      dir,
      partitions: benchPartitions,
      ossUrl,
      maxInFlight: options.slots,
    })
    ended.defer(() => stack.stop())
    return await measure(stack, backend, dir)
  }
}
