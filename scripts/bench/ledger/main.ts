import type { Figure } from '../figures.ts'
import { runParts } from '../run-parts.ts'
import { killedRun } from './killed-run.ts'
import { reserveLatency } from './reserve.ts'
import { sampleCost } from './sample-cost.ts'

/** The figures of budgets and provider limits. */
export function benchLedger(options: { only?: string[] | undefined }): Promise<Figure[]> {
  return runParts({ reserve: reserveLatency, sample: sampleCost, 'killed-run': killedRun }, options.only)
}
