import { join } from 'node:path'
import type { LocalPartOptions } from './kafka.ts'
import { onFreePort } from './on-free-port.ts'
import { startPart, type Part } from './part.ts'
import { registryHome, stackDir } from './paths.ts'
import { LIGHT_JVM, requireJava } from './tools.ts'

export interface RegistryPart extends Part {
  registryUrl: string
}

/** Apicurio Registry. Its default storage is memory, after whose loss old records could not be decoded: hence H2's file. */
export function startRegistry(options: LocalPartOptions): Promise<RegistryPart> {
  return onFreePort('the schema registry', options, async (port) => {
    const dirs = stackDir(options.dir)
    const home = join(dirs.data, 'registry')
    const registryUrl = `http://127.0.0.1:${port}/apis/ccompat/v7`
    const part = await startPart({
      name: 'registry',
      command: requireJava(),
      args: [
        '-Xmx256m',
        ...LIGHT_JVM,
        `-Dvertx.cacheDirBase=${join(home, 'cache')}`,
        '-jar',
        join(registryHome, 'apicurio-registry-app-2.6.13.Final-runner.jar'),
      ],
      cwd: home,
      env: {
        ...process.env,
        QUARKUS_HTTP_HOST: '127.0.0.1',
        QUARKUS_HTTP_PORT: String(port),
        QUARKUS_LOG_LEVEL: 'WARN',
        REGISTRY_DATASOURCE_URL: `jdbc:h2:file:${join(home, 'registry')}`,
      },
      address: registryUrl,
      logFile: join(dirs.log, 'registry.log'),
      runDir: dirs.run,
      probe: async () => (await fetch(`${registryUrl}/subjects`, { signal: AbortSignal.timeout(5_000) })).ok,
      signal: options.signal,
    })
    return { ...part, registryUrl }
  })
}
