import type { Redis } from 'ioredis'
import { ledgerKeys } from './keys.ts'
import { ledgerLost } from './ledger-lost.ts'
import { loadLuaScript } from './lua-script.ts'
import { createTenantBatches } from './tenant-batches.ts'

/** A record that wants to be the one that answers (tenantId, stepId). */
export interface Claim {
  tenantId: string
  stepId: string
  /** topic/partition/offset of the record. */
  origin: string
  /** sha256 of its value, hex. */
  contentHash: string
}

/**
 * - `claimed`: this record is the first.
 * - `redelivered`: it was the first already, and comes again after a crash or a rebalance: go on.
 * - `duplicate`: another record with the same content was first: no call, no second result.
 * - `conflict`: another record with other content was first.
 */
export type ClaimState = 'claimed' | 'redelivered' | 'duplicate' | 'conflict'
export interface ClaimAnswer {
  state: ClaimState
  /** Origin of the record that holds the claim. */
  holder: string
}

export interface Claims {
  /**
   * `guarded` is false for a tenant that no policy knows: it has no ledger that could be lost.
   * Throws SHUNT_REDIS_UNAVAILABLE and SHUNT_LEDGER_LOST (both retryable).
   */
  claim(claim: Claim, windowMs: number, guarded?: boolean): Promise<ClaimAnswer>
  /** Who holds the step, if anyone. */
  holder(step: Pick<Claim, 'tenantId' | 'stepId'>): Promise<string | null>
}

/** Most claims in one script call: bounds how long Redis is held, about 1 ms. */
const maxBatch = 256

export function createClaims(deps: { redis: Redis; namespace: string }): Claims {
  const script = loadLuaScript(deps.redis, 'claimSteps')
  const keys = ledgerKeys(deps.namespace)

  const claimTogether = createTenantBatches<Claim & { windowMs: number; guarded: boolean }, ClaimAnswer>(
    async (batch) => {
      const { tenantId, windowMs, guarded } = batch[0]!
      const standing = (await script(
        [keys.ledger(tenantId), ...batch.map(({ stepId }) => keys.claim(tenantId, stepId))],
        [guarded ? 1 : 0, windowMs, ...batch.map(({ origin, contentHash }) => `${origin}#${contentHash}`)],
      )) as string[] | 'lost'
      if (standing === 'lost') throw ledgerLost(tenantId)
      return batch.map((claim, index) => readClaim(claim, standing[index]!))
    },
    ({ windowMs, guarded }) => `${windowMs} ${guarded}`,
    maxBatch,
  )

  return {
    claim: (claim, windowMs, guarded = true) => claimTogether({ ...claim, windowMs, guarded }),
    holder: async ({ tenantId, stepId }) => (await deps.redis.get(keys.claim(tenantId, stepId)))?.split('#')[0] ?? null,
  }
}

/** What a claim that stands means to the record that asked. */
export function readClaim(claim: Claim, standing: string): ClaimAnswer {
  if (standing === '') return { state: 'claimed', holder: claim.origin }
  const cut = standing.lastIndexOf('#')
  const holder = standing.slice(0, cut)
  if (holder === claim.origin) return { state: 'redelivered', holder }
  return { state: standing.slice(cut + 1) === claim.contentHash ? 'duplicate' : 'conflict', holder }
}
