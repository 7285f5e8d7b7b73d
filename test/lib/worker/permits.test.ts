import { expect, test } from 'vitest'
import { compilePolicy, type CompiledPolicy } from '#lib/policy/compile-policy'
import { policySchema } from '#lib/policy/schema'
import { whyNotPermitted, whyNowhere } from '#lib/worker/permits'

const price = { inputMicroUsdPerMTok: 0, outputMicroUsdPerMTok: 0 }
const model = (id: string, tier: 'oss' | 'frontier') => ({ id, tier, contextTokens: 4_096, maxOutputTokens: 64, price })

function policy(change: object = {}): CompiledPolicy {
  return compilePolicy(
    policySchema.parse({
      version: 1,
      models: [model('open', 'oss'), model('big', 'frontier')],
      backends: [{ id: 'b', model: 'open', baseUrl: 'http://b/v1', region: 'eu', complianceTags: ['baa'] }],
      providers: [{ id: 'p', api: 'openai', models: ['big'], region: 'eu' }],
      tenants: [{ id: 'acme' }],
      ...change,
    }),
  )
}
const eu = { id: 'b', tier: 'oss' as const, region: 'eu', complianceTags: ['baa'] }
const provider = { id: 'p', tier: 'frontier' as const, region: 'eu', complianceTags: [] }
const step = (constraints = {}) => ({
  tenantId: 'acme',
  constraints: { allowedRegions: null, requiredTags: [], frontierAllowed: true, critical: [], ...constraints },
})
const floor = (tenant: object) => policy({ tenants: [{ id: 'acme', ...tenant }] })

test('what neither policy forbids is permitted', () => {
  expect(whyNotPermitted(step(), 'open', eu, policy(), policy())).toBeNull()
  expect(whyNowhere(step({ requiredTags: ['baa'] }), 'open', policy(), policy())).toBeNull()
})

test.each([
  ["the step's region", step({ allowedRegions: ['us'] }), policy(), policy(), 'residency'],
  ["the step's tag", step({ requiredTags: ['fedramp'] }), policy(), policy(), 'compliance'],
  ['the floor in force', step(), floor({ allowedRegions: ['us'] }), policy(), 'residency'],
  ['the floor that decided', step(), policy(), floor({ requiredTags: ['fedramp'] }), 'compliance'],
  ['a tenant that is gone', step(), policy({ tenants: [{ id: 'other' }] }), policy(), 'tenant_unknown'],
] as const)('I2: %s forbids', (_what, of, inForce, decided, why) => {
  expect(whyNotPermitted(of, 'open', eu, inForce, decided)).toBe(why)
  expect(whyNowhere(of, 'open', inForce, decided)).toBe(why)
})

test('I2: an air-gapped policy, in force or not, lets no step out, and neither does a step that says so', () => {
  const airGapped = policy({ airGapped: true })
  expect(whyNotPermitted(step(), 'big', provider, airGapped, policy())).toBe('air_gapped')
  expect(whyNotPermitted(step(), 'big', provider, policy(), airGapped)).toBe('air_gapped')
  const own = step({ frontierAllowed: false })
  expect(whyNotPermitted(own, 'big', provider, policy(), policy())).toBe('frontier_not_allowed')
})

test('I2: a place is judged by what will be called and by what either policy says of it', () => {
  const own = step({ allowedRegions: ['eu'] })
  const moved = policy({ backends: [{ id: 'b', model: 'open', baseUrl: 'http://b/v1', region: 'us' }] })
  expect(whyNotPermitted(own, 'open', { ...eu, region: 'us' }, policy(), policy())).toBe('residency')
  expect(whyNotPermitted(own, 'open', eu, moved, policy())).toBe('residency')
  expect(whyNotPermitted(own, 'open', eu, policy(), moved)).toBe('residency')
})

test('a place that the policy in force no longer has is not permitted', () => {
  expect(whyNotPermitted(step(), 'open', { ...eu, id: 'gone' }, policy(), policy())).toBe('not_in_policy')
  expect(whyNowhere(step(), 'gone', policy(), policy())).toBe('not_in_policy')
})
