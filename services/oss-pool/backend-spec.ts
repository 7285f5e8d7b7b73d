import { createOpenAiChat } from '#lib/models/openai-chat'
import type { CompiledPolicy } from '#lib/policy/compile-policy'
import type { PolicyBackend } from '#lib/policy/schema'
import type { BackendSpec } from './pool.ts'

type Env = Readonly<Record<string, string | undefined>>

/** The backends of a policy, in the pool's terms; addresses and keys from the environment where the policy says so. */
export function backendSpecs(policy: CompiledPolicy, env: Env): BackendSpec[] {
  return policy.backends.map((backend) => toSpec(backend, policy, env))
}

function toSpec(backend: PolicyBackend, policy: CompiledPolicy, env: Env): BackendSpec {
  const { id, model, region, complianceTags, maxInFlight, apiKeyEnv, baseUrlEnv } = backend
  const fromEnv = baseUrlEnv === undefined ? undefined : env[baseUrlEnv]
  const baseUrl = (fromEnv ?? backend.baseUrl).replace(/\/+$/, '')
  const modelName = policy.index.models.get(model)?.model.name ?? model
  const apiKey = apiKeyEnv === undefined ? undefined : env[apiKeyEnv]
  return {
    id,
    model,
    modelName,
    tier: 'oss',
    region,
    complianceTags,
    maxInFlight,
    // Ollama and older servers know max_tokens alone, and every server of open models knows it.
    chat: createOpenAiChat({ baseUrl, apiKey, tokenField: 'max_tokens' }),
    identity: JSON.stringify([id, model, modelName, baseUrl, region, complianceTags, apiKeyEnv]),
    // Beside /v1, whatever path lies before: a gateway may serve several backends.
    probeUrls: [`${baseUrl.replace(/\/v1$/, '')}/health`, `${baseUrl}/models`],
    apiKey,
  }
}
