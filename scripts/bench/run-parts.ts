import { startGuardian } from '../../cli/stack/guardian.ts'
import { createRunDirectory, removeRunDirectory } from '../../cli/stack/run-directory.ts'
import { startInfrastructure, type Infrastructure } from '../../cli/stack/stack.ts'
import { printFigure, type Figure } from './figures.ts'

export type Measure = (infrastructure: Infrastructure, dir: string) => Promise<Figure[]>

/** Measures the parts that are named, or all, one after the other on one Kafka, registry and Redis. */
export async function runParts(
  parts: Readonly<Record<string, Measure>>,
  only: readonly string[] | undefined,
): Promise<Figure[]> {
  const unknown = only?.filter((name) => !Object.hasOwn(parts, name)) ?? []
  if (unknown.length > 0) throw new Error(`no part ${unknown.join(', ')}; there are ${Object.keys(parts).join(', ')}`)
  const dir = await createRunDirectory('start')
  startGuardian(dir)
  const infrastructure = await startInfrastructure({ dir, env: process.env, names: ['kafka', 'registry', 'redis'] })
  const figures: Figure[] = []
  try {
    for (const [name, measure] of Object.entries(parts)) {
      if (only && !only.includes(name)) continue
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
