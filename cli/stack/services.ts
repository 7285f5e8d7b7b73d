import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { onFreePort, type PortChoice } from './on-free-port.ts'
import { startPart, type Part } from './part.ts'
import type { ServiceName } from './part-record.ts'
import type { Env } from './parts-needed.ts'
import { compileCacheDir, modelPath, repositoryDir, stackDir } from './paths.ts'

export interface ProcessOptions extends PortChoice {
  dir: string
  signal?: AbortSignal | undefined
  /** Unique in the stack. @default the name */
  id?: string
  /** On top of this process's environment. */
  env?: Env
  /** What is run. @default the service's own main.ts */
  main?: string
}

/** A service of ours; its address serves /healthz, /readyz and /metrics. Resolves once it says that it is ready. */
export function startService(name: ServiceName, options: ProcessOptions): Promise<Part> {
  const { id = name } = options
  return startNodeProcess(name, 'readyz', { ...options, id, defaults: { SHUNT_REPLICA: id } }, (url) => url)
}

/** The embedded model; resolves once it is loaded. Its address is what SHUNT_BACKEND_URL takes. */
export function startInference(options: ProcessOptions): Promise<Part> {
  const ownModel = process.env['SHUNT_MODEL_PATH'] ?? ''
  const defaults = { SHUNT_MODEL_PATH: ownModel === '' ? modelPath : ownModel }
  return startNodeProcess('inference', 'health', { ...options, defaults }, (url) => `${url}/v1`)
}

/** Changes when a process has to be started again to follow its variables: ours, keys and URLs of providers, how to log in. */
export function settingsDigest(env: Env): string {
  const entries = Object.entries({ ...process.env, ...env })
    .filter(([name]) => name in env || /^SHUNT_|^KAFKA_(SASL|TLS)|_API_KEY$|_BASE_URL$/.test(name))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256').update(JSON.stringify(entries)).digest('hex').slice(0, 16)
}

/** As in deploy/Dockerfile. glibc's arenas, one a thread, keep what each has freed: 25 MB of a busy pool. */
const memorySettings = { NODE_COMPILE_CACHE: compileCacheDir, MALLOC_ARENA_MAX: '1' }

function startNodeProcess(
  name: ServiceName | 'inference',
  healthPath: string,
  options: ProcessOptions & { defaults: Env },
  addressOf: (url: string) => string,
): Promise<Part> {
  const { id = name, env = {}, defaults, signal } = options
  const { main = join(repositoryDir, 'services', name, 'main.ts') } = options
  return onFreePort(id, options, (port) => {
    const dirs = stackDir(options.dir)
    const url = `http://127.0.0.1:${port}`
    return startPart({
      name,
      id,
      command: process.execPath,
      args: [main],
      cwd: repositoryDir,
      env: {
        ...memorySettings,
        ...process.env,
        ...defaults,
        ...env,
        SHUNT_HTTP_PORT: String(port),
        SHUNT_HTTP_HOST: '127.0.0.1',
      },
      address: addressOf(url),
      logFile: join(dirs.log, `${id}.log`),
      runDir: dirs.run,
      settings: settingsDigest(env),
      probe: async () => (await fetch(`${url}/${healthPath}`, { signal: AbortSignal.timeout(5_000) })).ok,
      // Above what a service gives itself (SHUNT_SHUTDOWN_GRACE_MS and 5 s), so that it ends by itself, drained.
      stopGraceMs: 30_000,
      signal,
    })
  })
}
