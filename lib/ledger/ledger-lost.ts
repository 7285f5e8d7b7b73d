import { ShuntError } from '#lib/errors'

/**
 * Nothing is known of what a tenant has spent and holds, or not any more: nobody decides, reserves or calls until the
 * ledger service has folded the log anew. Retryable: it does so by itself.
 */
export function ledgerLost(tenantId: string): ShuntError {
  return new ShuntError(
    'SHUNT_LEDGER_LOST',
    `Redis holds no ledger of tenant ${tenantId}; the ledger service rebuilds it from agent.audit: is it running?`,
    { retryable: true },
  )
}
