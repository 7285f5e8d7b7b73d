import { expect, test } from 'vitest'
import type { RuntimeConfig } from '#lib/config'
import { parsePolicy } from '#lib/policy/load'
import { derivePolicy } from '#lib/replay/publish/derive-policy'
import type { ReplayOrder } from '#lib/replay/publish/replay-order'
import { replayEnvironment } from '../../../cli/replay/replay-services.ts'

const price = { inputMicroUsdPerMTok: 1, outputMicroUsdPerMTok: 1 }
const pinned = (backendKey?: string) =>
  parsePolicy(
    JSON.stringify({
      version: 1,
      models: [
        { id: 'open', tier: 'oss', contextTokens: 4_096, maxOutputTokens: 64, price },
        { id: 'big', tier: 'frontier', contextTokens: 4_096, maxOutputTokens: 64, price },
      ],
      backends: [
        { id: 'b', model: 'open', baseUrl: 'http://b/v1', region: 'eu', ...(backendKey && { apiKeyEnv: backendKey }) },
      ],
      providers: [{ id: 'p', api: 'openai', models: ['big'], apiKeyEnv: 'P_KEY', region: 'eu' }],
      tenants: [{ id: 'acme' }],
    }),
    'test',
  )
const config = {
  brokers: ['a:1', 'b:2'],
  registryUrl: 'http://r',
  redisUrl: 'redis://r',
  namespace: 'staging',
} as RuntimeConfig
const given = { P_KEY: '1', OPENAI_API_KEY: '2', OTHER_API_KEY: '3', SHUNT_LIMITS_NAMESPACE: 'production' }
const env = (frontier: 'off' | 'recorded' | 'on', policy = pinned()) => ({
  ...given,
  ...replayEnvironment(
    config,
    {
      namespace: 'staging.replay-x',
      order: { frontier, providerKeys: ['P_KEY'] } as ReplayOrder,
      policy: derivePolicy(policy, { frontier, live: null, budgetMicroUsd: null }),
    },
    given,
  ),
})

test('services work in the namespace of the replay', () => {
  expect(env('off')).toMatchObject({
    KAFKA_BROKERS: 'a:1,b:2',
    SCHEMA_REGISTRY_URL: 'http://r',
    REDIS_URL: 'redis://r',
    SHUNT_NAMESPACE: 'staging.replay-x',
  })
})

test.each(['off', 'recorded'] as const)("without calls there is no provider's key to call with: %s", (frontier) => {
  const found = env(frontier)
  for (const name of ['P_KEY', 'OPENAI_API_KEY', 'OTHER_API_KEY', 'SHUNT_LIMITS_NAMESPACE'] as const)
    expect(found[name], name).toBeUndefined()
})

test('a key that an open model needs as well stays', () => {
  expect(env('recorded', pinned('P_KEY'))).toMatchObject({ P_KEY: '1' })
  expect(env('recorded', pinned('OTHER_API_KEY'))).toMatchObject({ OTHER_API_KEY: '3' })
})

test('I5: with calls, limits are those of the live namespace', () => {
  expect(env('on')).toMatchObject({ SHUNT_LIMITS_NAMESPACE: 'staging' })
  expect(env('on')).toMatchObject({ P_KEY: '1', OPENAI_API_KEY: '2', OTHER_API_KEY: '3' })
})
