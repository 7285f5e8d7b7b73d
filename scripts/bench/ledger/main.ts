import { startGuardian } from '../../../cli/stack/guardian.ts'
import { createRunDirectory, removeRunDirectory } from '../../../cli/stack/run-directory.ts'
import { startInfrastructure, type Infrastructure } from '../../../cli/stack/stack.ts'
import { printFigure, type Figure } from '../figures.ts'
import { killedRun } from './killed-run.ts'
import { sampleCost } from './sample-cost.ts'
import { reserveLatency } from './reserve.ts'

const parts: Record<string, (infrastructure: Infrastructure, dir: string) => Promise<Figure[]>> = {
  reserve: reserveLatency,
  sample: sampleCost,
  'killed-run': killedRun,
}

/** The figures of budgets and provider limits, on one Kafka, registry and Redis. */
export async function benchLedger(options: { only?: string[] | undefined }): Promise<Figure[]> {
  const unknown = options.only?.filter((name) => !Object.hasOwn(parts, name)) ?? []
  if (unknown.length > 0) throw new Error(`no part ${unknown.join(', ')}; there are ${Object.keys(parts).join(', ')}`)
  const dir = await createRunDirectory('start')
  startGuardian(dir)
  const infrastructure = await startInfrastructure({ dir, env: process.env, names: ['kafka', 'registry', 'redis'] })
  const figures: Figure[] = []
  try {
    for (const [name, measure] of Object.entries(parts)) {
      if (options.only && !options.only.includes(name)) continue
      console.log(`\n${name}`)
      for (const figure of await measure(infrastructure, dir)) {
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
