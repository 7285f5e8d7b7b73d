import type { z } from 'zod'
import type { Codec } from '#lib/events/codec'
import { activatePolicy } from '#lib/policy/activate'
import { parsePolicy } from '#lib/policy/load'
import type { policySchema } from '#lib/policy/schema'
import type { KafkaFactory } from '#lib/stream/kafka'
import type { Models } from './pipeline-models.ts'
import { tenantId } from './pipeline-steps.ts'

type PolicyFile = z.input<typeof policySchema>
/** Sections of the policy that a test wants otherwise. */
export type PolicyChange = Partial<PolicyFile>
export type ProviderLimits = NonNullable<NonNullable<PolicyFile['providers']>[number]['limits']>

const free = { inputMicroUsdPerMTok: 0, outputMicroUsdPerMTok: 0 }
const paid = { inputMicroUsdPerMTok: 3_000_000, outputMicroUsdPerMTok: 15_000_000 }
const region = 'local'

/** `reasoning` goes to the frontier at once, everything else to the open model first. */
export function policyFile(models: Models, limits?: ProviderLimits): PolicyFile {
  return {
    version: 1,
    models: [
      { id: 'open', tier: 'oss', contextTokens: 32_768, maxOutputTokens: 256, price: free },
      { id: 'frontier', tier: 'frontier', contextTokens: 200_000, maxOutputTokens: 1_024, price: paid },
    ],
    backends: models.oss.map(({ url }, i) => ({
      id: `backend-${i}`,
      model: 'open',
      baseUrl: `${url}/v1`,
      apiKeyEnv: 'SIMULATOR_KEY',
      region,
      maxInFlight: 16,
    })),
    providers: [
      {
        id: 'provider',
        api: 'openai',
        models: ['frontier'],
        baseUrl: `${models.frontier.url}/v1`,
        apiKeyEnv: 'SIMULATOR_KEY',
        region,
        maxInFlight: 16,
        ...(limits && { limits }),
      },
    ],
    tenants: [{ id: tenantId }, { id: 'globex' }],
    rules: [{ name: 'reasoning to the frontier', when: { kind: ['reasoning'] }, choose: { tier: 'frontier' } }],
    threshold: { pSuccessPpm: 1 },
  }
}

/** Returns its hash. Services follow within moments; nothing here waits for them. */
export async function putPolicyInForce(
  deps: { kafka: KafkaFactory; codec: Codec },
  options: { namespace: string; models: Models; providerLimits?: ProviderLimits | undefined; change: PolicyChange },
): Promise<string> {
  const file = { ...policyFile(options.models, options.providerLimits), ...options.change }
  const loaded = parsePolicy(JSON.stringify(file, null, 2), 'policy of the test')
  await activatePolicy({ ...deps, nowMs: Date.now }, loaded, {
    namespace: options.namespace,
    actor: 'test',
    reason: 'test',
  })
  return loaded.hash
}
