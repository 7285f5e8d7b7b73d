import type { z } from 'zod'
import { parsePolicy, type LoadedPolicy } from '#lib/policy/load'
import type { policySchema } from '#lib/policy/schema'

type PolicyFile = z.input<typeof policySchema>

export interface VariedModels {
  ossUrl: string
  frontierUrl: string
  apiKeyEnv: string
  /** Of the scorer that the last policy names. */
  scorerHash: string
}

/**
 * Four policies over the same models and tenants, of which each decides much otherwise than the one before: other
 * thresholds, other rules, another scorer.
 */
export function variedPolicies(models: VariedModels): LoadedPolicy[] {
  const base = common(models)
  const reasoning = { name: 'reasoning', when: { kind: ['reasoning' as const] }, choose: { tier: 'frontier' as const } }
  const files: PolicyFile[] = [
    { ...base, rules: [reasoning] },
    {
      ...base,
      rules: [reasoning],
      budget: { waitMs: 50, expectedSteps: 30, expectedFrontierSharePpm: 600_000 },
      threshold: {
        pSuccessPpm: 650_000,
        perKind: { extraction: { pSuccessPpm: 900_000 }, classification: { pSuccessPpm: 400_000 } },
        perTenant: { acme: { pSuccessPpm: 800_000 } },
        taskFailuresPpm: 500_000,
        kindFailuresPpm: 300_000,
      },
    },
    {
      ...base,
      rules: [
        { name: 'in circles', when: { traceTroubleAtLeastPpm: 800_000 }, choose: { tier: 'refuse' } },
        {
          name: 'alike',
          when: { toolAmbiguityAtLeastPpm: 300_000 },
          choose: { tier: 'frontier', model: 'frontier-b' },
        },
        { name: 'failed', when: { priorFailuresAtLeast: 1 }, choose: { tier: 'frontier' } },
      ],
      budget: { waitMs: 50, whenExhausted: 'refuse' },
      limits: { maxAttempts: 2 },
    },
    {
      ...base,
      rules: [],
      scorer: { use: 'trained', hash: models.scorerHash },
      threshold: { gainPpm: 50_000, pSuccessPpm: 550_000 },
    },
  ]
  return files.map((file, i) => parsePolicy(JSON.stringify(file), `policy ${i}`))
}

function common({ ossUrl, frontierUrl, apiKeyEnv }: VariedModels): PolicyFile {
  const free = { inputMicroUsdPerMTok: 0, outputMicroUsdPerMTok: 0 }
  const paid = { inputMicroUsdPerMTok: 3_000_000, outputMicroUsdPerMTok: 15_000_000 }
  const open = { name: 'open', tier: 'oss' as const, maxOutputTokens: 256, price: free }
  const frontier = { name: 'frontier', tier: 'frontier' as const, maxOutputTokens: 1_024, price: paid }
  const key = { apiKeyEnv }
  const oss = { baseUrl: `${ossUrl}/v1`, ...key, maxInFlight: 64 }
  const provider = { api: 'openai' as const, baseUrl: `${frontierUrl}/v1`, ...key, maxInFlight: 64 }
  return {
    version: 1,
    models: [
      { id: 'open-a', ...open, contextTokens: 512 },
      { id: 'open-b', ...open, contextTokens: 32_768 },
      { id: 'frontier-a', ...frontier, contextTokens: 200_000 },
      { id: 'frontier-b', ...frontier, contextTokens: 200_000 },
    ],
    backends: [
      { id: 'in-the-house', model: 'open-a', ...oss, region: 'local', complianceTags: ['gdpr', 'baa'] },
      { id: 'in-europe', model: 'open-b', ...oss, region: 'eu', complianceTags: ['gdpr'] },
    ],
    providers: [
      { id: 'overseas', models: ['frontier-a'], ...provider, region: 'us' },
      { id: 'near', models: ['frontier-b'], ...provider, region: 'eu', complianceTags: ['gdpr'] },
    ],
    tenants: [
      { id: 'acme', taskBudgetMicroUsd: 8_000 },
      { id: 'globex', allowedRegions: ['eu'] },
      { id: 'clinic', requiredTags: ['baa'], frontierAllowed: false },
      { id: 'capped', dayBudgetMicroUsd: 60_000 },
    ],
    budget: { waitMs: 50 },
  }
}
