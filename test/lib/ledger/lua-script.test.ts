import { expect, test } from 'vitest'
import type { Redis } from 'ioredis'
import { createClaims } from '#lib/ledger/claims'

test.each([
  'ERR syntax error script: 0c5f, on @user_script:9.',
  'WRONGTYPE Operation against a key holding the wrong kind of value',
  'OOM command not allowed when used memory > maxmemory',
  'Connection is closed.',
])('a claim that Redis refuses (%s) is tried again: the step is not to blame', async (message) => {
  const redis = { evalsha: () => Promise.reject(new Error(message)) } as unknown as Redis
  const claims = createClaims({ redis, namespace: '' })
  const claim = { tenantId: 't', stepId: 's', origin: 'agent.steps/0/7', contentHash: 'aa' }
  await expect(claims.claim(claim, 1_000)).rejects.toMatchObject({ code: 'SHUNT_REDIS_UNAVAILABLE', retryable: true })
})
