import { removeSchemas } from '#lib/events/register-schemas'
import { createRegistry } from '#lib/events/registry'
import type { RuntimeConfig } from '#lib/config'
import type { Logger } from '#lib/telemetry/logger'
import { clearNamespace } from '../stack/clear-namespace.ts'

/** Topics, groups, Redis keys and subjects of a replay. May be repeated. */
export async function removeReplay(deps: { config: RuntimeConfig; log: Logger }, namespace: string): Promise<void> {
  await removeSchemas(createRegistry(deps.config.registryUrl), namespace)
  await clearNamespace(deps.config, namespace, deps.log)
}
