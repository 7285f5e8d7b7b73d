import { describe, expect, test } from 'vitest'
import { parsePolicy, parsePolicyContent } from '#lib/policy/load'
import { demandStillFits, derivePolicy, type DeriveOptions } from '#lib/replay/publish/derive-policy'

const price = { inputMicroUsdPerMTok: 1_000_000, outputMicroUsdPerMTok: 2_000_000 }
const file = {
  version: 1,
  models: [
    { id: 'open', tier: 'oss', contextTokens: 4_096, maxOutputTokens: 256, price },
    { id: 'big', tier: 'frontier', name: 'big-2', contextTokens: 4_096, maxOutputTokens: 256, price },
    { id: 'huge', tier: 'frontier', contextTokens: 4_096, maxOutputTokens: 256, price },
  ],
  backends: [{ id: 'b', model: 'open', baseUrl: 'http://b/v1', region: 'eu' }],
  providers: [
    {
      id: 'p',
      api: 'openai',
      models: ['big', 'huge'],
      baseUrl: 'http://p/v1',
      baseUrlEnv: 'P_URL',
      apiKeyEnv: 'P_KEY',
      standInWithoutKey: true,
      region: 'us',
      complianceTags: ['baa'],
      maxInFlight: 3,
      limits: { requestsPerMinute: 10, perModel: { big: { requestsPerMinute: 5 }, huge: { requestsPerMinute: 6 } } },
    },
  ],
  tenants: [{ id: 'acme' }, { id: 'globex', dayBudgetMicroUsd: 500_000 }],
}
type File = typeof file
const load = (change: object = {}) => parsePolicy(JSON.stringify({ ...file, ...change }), 'test')
const [provider] = file.providers as [File['providers'][number]]
const derive = (options: Partial<DeriveOptions>, pinned = load(), live: DeriveOptions['live'] = load()) =>
  derivePolicy(pinned, { frontier: 'on', live, budgetMicroUsd: null, ...options })

test('off: no model of the frontier is left to a step, and the policy says so by a hash of its own', () => {
  const derived = derive({ frontier: 'off' })
  expect(derived.policy.airGapped).toBe(true)
  expect(derived.hash).not.toBe(load().hash)
  expect(parsePolicyContent(derived.content, derived.hash).hash).toBe(derived.hash)
})

test('off: a tenant that may go to frontier models alone is told of', () => {
  const pinned = load({ tenants: [{ id: 'acme', requiredTags: ['baa'] }] })
  expect(() => derive({ frontier: 'off' }, pinned)).toThrow(/its floor leaves no model.*air_gapped/)
})

test('recorded: neither address nor key of a provider is left, and its place stays', () => {
  const derived = derive({ frontier: 'recorded' })
  expect(JSON.parse(derived.content)).toMatchObject({
    providers: [
      { id: 'p', api: 'recorded', models: ['big', 'huge'], region: 'us', complianceTags: ['baa'], maxInFlight: 3 },
    ],
  })
  expect(derived.content).not.toMatch(/P_KEY|P_URL|http:\/\/p|standIn|limits/)
})

test("on: the limits are the live policy's, as they are now", () => {
  const limits = { requestsPerMinute: 100, perModel: { big: { requestsPerMinute: 1 }, huge: { requestsPerMinute: 2 } } }
  const live = load({ providers: [{ ...provider, limits }] })
  const pinned = load({
    models: file.models.slice(0, 2),
    providers: [{ ...provider, models: ['big'], limits: { requestsPerMinute: 100_000 } }],
  })
  expect(derive({}, pinned, live).policy.providers[0]!.limits).toMatchObject({
    requestsPerMinute: 100,
    perModel: { big: { requestsPerMinute: 1 } },
  })
  const { limits: _, ...unlimited } = provider
  expect(derive({}, pinned, load({ providers: [unlimited] })).policy.providers[0]!.limits).toBeUndefined()
})

test('on: a provider that the live policy has not keeps its own limits', () => {
  const live = load({ providers: [{ ...provider, id: 'other', apiKeyEnv: 'OTHER_KEY' }] })
  expect(derive({}, load(), live).policy.providers[0]!.limits?.requestsPerMinute).toBe(10)
  expect(derive({}, load(), null).policy.providers[0]!.limits?.requestsPerMinute).toBe(10)
})

describe('on: what would count one account under two names is refused', () => {
  const refused = { code: 'SHUNT_REPLAY_REFUSED' }
  test.each([
    ['another id of the provider', { providers: [{ ...provider, id: 'q' }] }],
    ['another key', { providers: [{ ...provider, apiKeyEnv: 'Q_KEY' }] }],
    ['another address', { providers: [{ ...provider, baseUrl: 'http://q/v1' }] }],
    [
      'another id of the model',
      {
        models: file.models.map((model) => (model.id === 'big' ? { ...model, id: 'bigger' } : model)),
        providers: [{ ...provider, models: ['bigger', 'huge'], limits: {} }],
      },
    ],
  ])('%s', (_what, change) => {
    expect(() => derive({}, load(change))).toThrow(expect.objectContaining(refused) as Error)
  })
})

test('a budget caps the day of each tenant, and raises none', () => {
  const { tenants } = derive({ budgetMicroUsd: 1_000_000 }).policy
  expect(tenants.map(({ dayBudgetMicroUsd }) => dayBudgetMicroUsd)).toEqual([1_000_000, 500_000])
})

test('on, with nothing to change, is the pinned policy', () => {
  expect(derive({}).hash).toBe(load().hash)
})

describe('I2: a floor of the policy in force holds, whatever the pinned one says', () => {
  const tenants = (acme: object) => [{ id: 'acme', ...acme }, { id: 'globex' }]
  const floor = { allowedRegions: ['eu', 'us'], requiredTags: ['baa'], frontierAllowed: false }
  const backends = [{ ...file.backends[0], complianceTags: ['baa', 'soc2'] }]
  const live = load({ backends, tenants: tenants(floor) })

  test.each(['off', 'recorded', 'on'] as const)('%s', (frontier) => {
    const loose = load({ backends, tenants: tenants({ allowedRegions: ['eu', 'ap'], requiredTags: ['soc2'] }) })
    const derived = derive({ frontier }, loose, live)
    expect(derived.policy.tenants).toMatchObject([
      { id: 'acme', allowedRegions: ['eu'], frontierAllowed: false },
      { id: 'globex', allowedRegions: null, requiredTags: [], frontierAllowed: true },
    ])
    expect(derived.policy.tenants[0]!.requiredTags.toSorted()).toEqual(['baa', 'soc2'])
  })

  test('an air-gapped site stays so', () => {
    expect(derive({}, load(), load({ airGapped: true })).policy.airGapped).toBe(true)
  })

  test('a floor that leaves no model of the pinned policy is told of', () => {
    const moved = load({ backends: [{ ...file.backends[0], region: 'ap' }], tenants: tenants({}) })
    expect(() => derive({}, moved, load({ tenants: tenants({ allowedRegions: ['eu'] }) }))).toThrow(
      /its floor leaves no model/,
    )
  })

  test('one that is as tight leaves the policy as it is', () => {
    const same = load({ backends, tenants: tenants({ ...floor, requiredTags: ['soc2', 'baa'] }) })
    expect(derive({}, same, live).hash).toBe(same.hash)
  })
})

describe('a replay goes on', () => {
  const tight = load({ tenants: [{ id: 'acme', allowedRegions: ['eu'] }, { id: 'globex' }] })
  const otherLimits = load({ providers: [{ ...provider, limits: { requestsPerMinute: 9 } }] })

  test.each(['off', 'recorded', 'on'] as const)('with the policy as it was made: %s', (frontier) => {
    for (const live of [null, load(), tight]) {
      const derived = derive({ frontier, live, budgetMicroUsd: 400_000 })
      expect(() => demandStillFits(derived, { frontier, live })).not.toThrow()
    }
  })

  test.each(['off', 'recorded', 'on'] as const)('I2: under no floor that was tightened since: %s', (frontier) => {
    const derived = derive({ frontier })
    expect(() => demandStillFits(derived, { frontier, live: tight })).toThrow(/tighter floors/)
    demandStillFits(derive({ frontier, live: tight }), { frontier, live: load() })
  })

  test('I5: under the limits of the policy in force alone', () => {
    expect(() => demandStillFits(derive({}), { frontier: 'on', live: otherLimits })).toThrow(/limits/)
    demandStillFits(derive({ frontier: 'recorded' }), { frontier: 'recorded', live: otherLimits })
  })
})
