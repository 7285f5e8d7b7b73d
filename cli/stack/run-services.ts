import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Part } from './part.ts'
import { serviceNames } from './part-record.ts'
import type { PartWatch } from './part-watch.ts'
import type { Env } from './parts-needed.ts'
import { shuntDir, stackDir } from './paths.ts'
import { removeRunDirectory } from './run-directory.ts'
import { startService } from './services.ts'

/** Starts one process of each service, all or none. Returns what stops them, drained. Throws SHUNT_SETUP_FAILED. */
export async function runServices(options: {
  dir: string
  env: Env
  signal: AbortSignal
  watch: Pick<PartWatch, 'watch' | 'expectEnds'>
  /** SIGTERM to SIGKILL; undefined for each service's own. */
  graceMs: () => number | undefined
}): Promise<() => Promise<void>> {
  const { dir, env, signal, watch, graceMs } = options
  const services: Part[] = []
  const stop = async () => {
    watch.expectEnds()
    await Promise.all(services.map((service) => service.stop(graceMs())))
  }
  const starts = serviceNames.map(async (name) => {
    const service = await startService(name, { dir, env, signal })
    services.push(service)
    watch.watch(service)
  })
  // All of them come to an end before any is stopped.
  const refused = (await Promise.allSettled(starts)).find((outcome) => outcome.status === 'rejected')
  if (!refused) return stop
  await stop()
  throw refused.reason
}

/** Removes a run's directory; the logs of the last run of its kind stay in .shunt/log. */
export async function removeKeepingLogs(dir: string, kind: string): Promise<void> {
  const { log } = stackDir(dir)
  const kept = join(shuntDir, 'log', kind)
  if (existsSync(log)) {
    rmSync(kept, { recursive: true, force: true })
    mkdirSync(join(shuntDir, 'log'), { recursive: true })
    renameSync(log, kept)
  }
  await removeRunDirectory(dir)
}
