import { printFigure, type Figure } from '../figures.ts'
import { runParts, type Measure } from '../run-parts.ts'
import { auditCost } from './audit-cost.ts'
import { auditSize, auditSizeOfSample } from './audit-size.ts'
import { diff, diffScores } from './diff.ts'
import { overAll } from './over-all.ts'
import { writeReplayBench, type ReplayBench } from './replay-bench.ts'
import { underLoad } from './under-load.ts'
import { features, verify } from './verify.ts'

/** The figures of audit and replay. */
export async function benchReplay(options: { only?: string[] | undefined }): Promise<Figure[]> {
  let written: Promise<ReplayBench> | undefined
  /** One log for all parts that read it. */
  const onLog =
    (measure: (bench: ReplayBench) => Promise<Figure[]>): Measure =>
    async (infrastructure, dir) =>
      measure(await (written ??= writeReplayBench(infrastructure, dir)))
  const parts: Record<string, Measure> = {
    verify: onLog(verify),
    features: onLog(features),
    diff: onLog(diff),
    scores: onLog(diffScores),
    i4: underLoad,
    size: auditSize,
    'size-sample': auditSizeOfSample,
    cost: auditCost,
  }
  const figures = await runParts(parts, options.only)
  const whole = overAll(figures)
  if (whole.length > 0) console.log('\nover all')
  whole.forEach(printFigure)
  return [...figures, ...whole]
}
