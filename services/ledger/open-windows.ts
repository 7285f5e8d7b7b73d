import type { ProviderLimits } from '#lib/ledger/provider-limits'
import { providerQueue, windowOf } from '#lib/ledger/provider-window'
import type { Policy } from '#lib/policy/schema'

/** Where nothing was ever decided nothing was called either: no provider's first window has to pass without a call. */
export async function openWindows(limits: Pick<ProviderLimits, 'initialise'>, policy: Policy): Promise<void> {
  for (const provider of policy.providers)
    for (const model of provider.limits ? provider.models : [])
      await limits.initialise(providerQueue(provider.id, model), windowOf(provider.limits!, model), true)
}
