import { join } from 'node:path'

/** The checkout that this file is part of. */
export const repositoryDir = join(import.meta.dirname, '..', '..')

/** Everything that Shunt writes on a machine by itself; may be deleted when nothing runs. */
export const shuntDir = process.env['SHUNT_DIR'] ?? join(repositoryDir, '.shunt')

/** What was downloaded: never changed after the rename that put it there. */
export const partsDir = join(shuntDir, 'parts')
export const kafkaHome = join(partsDir, 'kafka-4.2.1')
export const registryHome = join(partsDir, 'apicurio-registry-2.6.13.Final')
export const modelPath = join(partsDir, 'gemma-3-270m-q4_k_m.gguf')

/** Compiled modules: a service starts in half the time, and in 25 MB less since the compiler is not loaded. */
export const compileCacheDir = join(shuntDir, 'compile-cache')

/** One directory for each run of `npm start` or of the tests, gone when the run has ended. */
export const runsDir = join(shuntDir, 'runs')

/** Where one local stack keeps its things: `.shunt` itself for `shunt up`, a directory of `runsDir` for a run. */
export interface StackDir {
  /** State records of the processes. */
  run: string
  data: string
  log: string
}

export function stackDir(dir: string): StackDir {
  return { run: join(dir, 'run'), data: join(dir, 'data'), log: join(dir, 'log') }
}
