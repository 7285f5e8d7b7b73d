import { expect, test } from 'vitest'
import { compilePolicy } from '#lib/policy/compile-policy'
import { policySchema } from '#lib/policy/schema'
import { backendSpecs } from '../../../services/oss-pool/backend-spec.ts'

test.each([
  ['http://gpu:8000/v1', 'http://gpu:8000/health', 'http://gpu:8000/v1/models'],
  ['https://gw/vllm-1/v1/', 'https://gw/vllm-1/health', 'https://gw/vllm-1/v1/models'],
  ['https://gw/openai', 'https://gw/openai/health', 'https://gw/openai/models'],
])('a backend at %s is probed there, and at no other path', (baseUrl, ...probeUrls) => {
  const price = { inputMicroUsdPerMTok: 0, outputMicroUsdPerMTok: 0 }
  const policy = policySchema.parse({
    version: 1,
    models: [{ id: 'open', tier: 'oss', contextTokens: 4_096, maxOutputTokens: 64, price }],
    backends: [{ id: 'b', model: 'open', baseUrl, region: 'eu' }],
    tenants: [{ id: 'acme' }],
  })
  expect(backendSpecs(compilePolicy(policy), {})).toMatchObject([{ probeUrls }])
})
