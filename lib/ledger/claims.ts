import type { Redis } from 'ioredis'
import { inNamespace } from '#lib/events/topics'
import { loadLuaScript, type LuaScript } from './lua-script.ts'

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
  /** Throws SHUNT_REDIS_UNAVAILABLE (retryable). */
  claim(claim: Claim, windowMs: number): Promise<ClaimAnswer>
  /** Who holds the step, if anyone. */
  holder(step: Pick<Claim, 'tenantId' | 'stepId'>): Promise<string | null>
}

/** Most claims in one script call: bounds how long Redis is held, about 1 ms. */
const maxBatch = 256

interface Waiting {
  claim: Claim
  windowMs: number
  resolve: (answer: ClaimAnswer) => void
  reject: (error: unknown) => void
}

/**
 * Claims of steps that are being decided at the same moment go to Redis together, one script call a tenant: a call each
 * would cost more than the decision. One hash tag a tenant, so that a Redis Cluster takes the call.
 */
export function createClaims(deps: { redis: Redis; namespace: string }): Claims {
  const script = loadLuaScript(deps.redis, 'claimSteps')
  let waiting: Waiting[] = []

  const keyOf = (step: Pick<Claim, 'tenantId' | 'stepId'>) =>
    inNamespace(deps.namespace, `{${step.tenantId}}:claim:${step.stepId}`)

  const flush = () => {
    const batches = Map.groupBy(waiting, (each) => `${each.windowMs} ${each.claim.tenantId}`)
    waiting = []
    for (const batch of batches.values())
      for (let start = 0; start < batch.length; start += maxBatch)
        void claimTogether(script, keyOf, batch.slice(start, start + maxBatch))
  }

  return {
    claim: (claim, windowMs) =>
      new Promise((resolve, reject) => {
        if (waiting.length === 0) setImmediate(flush)
        waiting.push({ claim, windowMs, resolve, reject })
      }),
    holder: async (step) => (await deps.redis.get(keyOf(step)))?.split('#')[0] ?? null,
  }
}

async function claimTogether(script: LuaScript, keyOf: (claim: Claim) => string, batch: Waiting[]): Promise<void> {
  try {
    const standing = (await script(
      batch.map((each) => keyOf(each.claim)),
      [batch[0]!.windowMs, ...batch.map(({ claim }) => `${claim.origin}#${claim.contentHash}`)],
    )) as string[]
    batch.forEach((each, index) => each.resolve(readClaim(each.claim, standing[index]!)))
  } catch (error) {
    for (const each of batch) each.reject(error)
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
