import { openDataKeys } from '#lib/erasure/data-keys'
import { demandMounted } from '#lib/erasure/key-files'
import type { Keys } from '#lib/erasure/step-texts'
import { ShuntError } from '#lib/errors'
import type { ServiceParts } from './run-service.ts'

/**
 * The data keys of a service that opens texts. Throws SHUNT_CONFIG_INVALID where SHUNT_DATA_KEYS names no directory. One
 * that has none is not ready while the policy in force demands sealed texts: a policy comes in force without a restart,
 * and ending the process would stop the other tenants too.
 */
export async function openServiceKeys({
  config: { dataKeysDir },
  policies,
  checks,
}: Pick<ServiceParts, 'config' | 'policies' | 'checks'>): Promise<Keys> {
  if (dataKeysDir !== null) {
    await demandMounted(dataKeysDir, true).catch((cause: unknown) => {
      const problem = cause instanceof Error ? cause.message : String(cause)
      throw new ShuntError('SHUNT_CONFIG_INVALID', `SHUNT_DATA_KEYS=${dataKeysDir}: ${problem}`, { cause })
    })
    return openDataKeys(dataKeysDir)
  }
  checks.push(() => {
    const sealed = policies.inForce()?.policy.tenants.find(({ texts }) => texts === 'sealed')
    return sealed === undefined
      ? null
      : `SHUNT_DATA_KEYS_UNAVAILABLE: the policy wants texts of tenant ${sealed.id} sealed: set SHUNT_DATA_KEYS to the directory of the data keys`
  })
  return null
}
