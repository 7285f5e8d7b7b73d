import type { TestProject } from 'vitest/node'
import { startGuardian } from '../../cli/stack/guardian.ts'
import { createRunDirectory, removeRunDirectory } from '../../cli/stack/run-directory.ts'
import { startInfrastructure, type StackAddresses } from '../../cli/stack/stack.ts'

declare module 'vitest' {
  interface ProvidedContext {
    stack: StackAddresses
    /** Where services that a test starts keep their records and logs; what is left of them ends with the run. */
    runDirectory: string
  }
}

/** One Kafka, registry and Redis for all end-to-end tests, which keep apart by their namespaces. */
export default async function startSharedStack(project: TestProject): Promise<() => Promise<void>> {
  const dir = await createRunDirectory('test')
  startGuardian(dir)
  const infrastructure = await startInfrastructure({
    dir,
    env: process.env,
    names: ['kafka', 'registry', 'redis'],
  })
  const { brokers, registryUrl, redisUrl } = infrastructure
  project.provide('stack', { brokers, registryUrl, redisUrl })
  project.provide('runDirectory', dir)
  return async () => {
    await infrastructure.stop()
    await removeRunDirectory(dir)
  }
}
