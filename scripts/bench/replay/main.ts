import type { Figure } from '../figures.ts'
import { runParts, type Measure } from '../run-parts.ts'
import { writeReplayBench, type ReplayBench } from './replay-bench.ts'
import { features, verify } from './verify.ts'

/** The figures of audit and replay. */
export async function benchReplay(options: { only?: string[] | undefined }): Promise<Figure[]> {
  let written: Promise<ReplayBench> | undefined
  /** One log for all parts that read it. */
  const onLog =
    (measure: (bench: ReplayBench) => Promise<Figure[]>): Measure =>
    async (infrastructure, dir) =>
      measure(await (written ??= writeReplayBench(infrastructure, dir)))
  return runParts({ verify: onLog(verify), features: onLog(features) }, options.only)
}
