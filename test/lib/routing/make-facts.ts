import type { LedgerSnapshot, PriorAttempt, StepFacts } from '#lib/events/types.generated'
import { compilePolicy, type CompiledPolicy } from '#lib/policy/compile-policy'
import { policySchema } from '#lib/policy/schema'
import { noLedger } from '#lib/routing/no-ledger'
import type { z } from 'zod'

export const nowMs = 1_800_000_000_000

/** An easy step that the open model is trusted with; a test changes what it is about. */
export function makeFacts(change: Partial<StepFacts> = {}): StepFacts {
  return {
    tenantId: 'acme',
    kind: 'classification',
    priority: 'interactive',
    requestedModel: null,
    allowedRegions: null,
    requiredTags: [],
    frontierAllowed: true,
    deadlineAtMs: null,
    receivedAtMs: nowMs - 1_000,
    taskBudgetMicroUsd: null,
    maxOutputTokens: 100,
    requestBytes: 400,
    promptTokens: 100,
    messageCount: 2,
    imageCount: 0,
    toolCount: 0,
    toolAmbiguityPpm: 0,
    traceTroublePpm: 0,
    toolErrors: 0,
    repeatedCalls: 0,
    unknownToolCalls: 0,
    malformedCalls: 0,
    turnsSinceTrouble: null,
    pSuccessPpm: 800_000,
    gainPpm: null,
    priorAttempts: [],
    scoredBy: 'hand_weighted',
    scorerFallback: null,
    ...change,
  }
}

export function makeSnapshot(change: Partial<LedgerSnapshot> = {}): LedgerSnapshot {
  return { ...noLedger(nowMs), ...change }
}

export function failed(model: string, change: Partial<PriorAttempt> = {}): PriorAttempt {
  const tier = model.startsWith('oss') ? 'oss' : 'frontier'
  return { tier, model, verdict: 'truncated', transient: false, costMicroUsd: 0, ...change }
}

type PolicyFile = z.input<typeof policySchema>

const free = { inputMicroUsdPerMTok: 0, outputMicroUsdPerMTok: 0 }
const paid = { inputMicroUsdPerMTok: 1_000_000, outputMicroUsdPerMTok: 10_000_000 }

/** Two models a tier; `oss-a` in eu (hipaa) and us, `oss-b` in us; frontier in us. */
export function makePolicy(change: Partial<PolicyFile> = {}): CompiledPolicy {
  const url = 'http://127.0.0.1:1/v1'
  return compilePolicy(
    policySchema.parse({
      version: 1,
      models: [
        { id: 'oss-a', tier: 'oss', contextTokens: 8_000, maxOutputTokens: 500, price: free },
        { id: 'oss-b', tier: 'oss', contextTokens: 32_000, maxOutputTokens: 500, price: free, tools: false },
        {
          id: 'frontier-a',
          tier: 'frontier',
          contextTokens: 100_000,
          maxOutputTokens: 1_000,
          price: paid,
          images: true,
        },
        { id: 'frontier-b', tier: 'frontier', contextTokens: 100_000, maxOutputTokens: 1_000, price: paid },
      ],
      backends: [
        { id: 'a-eu', model: 'oss-a', baseUrl: url, region: 'eu', complianceTags: ['hipaa'] },
        { id: 'a-us', model: 'oss-a', baseUrl: url, region: 'us' },
        { id: 'b-us', model: 'oss-b', baseUrl: url, region: 'us' },
      ],
      providers: [
        { id: 'p-a', api: 'stand_in', models: ['frontier-a'], region: 'us', complianceTags: ['hipaa'] },
        { id: 'p-b', api: 'stand_in', models: ['frontier-b'], region: 'us' },
      ],
      tenants: [
        { id: 'acme' },
        { id: 'clinic', allowedRegions: ['eu'], requiredTags: ['hipaa'], frontierAllowed: false },
      ],
      ...change,
    }),
  )
}
