import fc from 'fast-check'
import type { LedgerSnapshot, StepFacts } from '#lib/events/types.generated'
import { compilePolicy, type CompiledPolicy } from '#lib/policy/compile-policy'
import { policySchema, stepKinds } from '#lib/policy/schema'
import { nowMs } from './make-facts.ts'

const regions = ['eu', 'us', 'local'] as const
const tags = ['hipaa', 'gdpr', 'baa'] as const
const tenants = ['acme', 'clinic'] as const
const ossModels = ['oss-a', 'oss-b'] as const
const frontierModels = ['frontier-a', 'frontier-b'] as const
const models = [...ossModels, ...frontierModels]

const ppm = fc.oneof(fc.constantFrom(0, 1_000_000), fc.integer({ min: 0, max: 1_000_000 }))
const gainPpm = fc.oneof(fc.constantFrom(-1_000_000, 0, 1_000_000), fc.integer({ min: -1_000_000, max: 1_000_000 }))
const tokenPrice = fc.constantFrom(0, 100_000, 15_000_000, 1_000_000_000)
/** Mostly the usual value: with every field at random hardly a step would be routed, and little be tested. */
const mostly = <T>(usual: T, others: fc.Arbitrary<T>, weight = 4): fc.Arbitrary<T> =>
  fc.oneof({ weight, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: others })
const place = {
  region: fc.constantFrom(...regions),
  complianceTags: mostly<(typeof tags)[number][]>([...tags], fc.subarray([...tags]), 1),
}
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })

const model = (id: string, tier: 'oss' | 'frontier') =>
  fc.record({
    id: fc.constant(id),
    tier: fc.constant(tier),
    contextTokens: mostly(100_000, fc.constantFrom(256, 8_000)),
    maxOutputTokens: fc.constantFrom(1, 200, 100_000),
    price: fc.record({ inputMicroUsdPerMTok: tokenPrice, outputMicroUsdPerMTok: tokenPrice }),
    tools: mostly(true, fc.constant(false)),
    images: fc.boolean(),
  })

const when = fc.record(
  {
    kind: fc.subarray([...stepKinds], { minLength: 1 }),
    tenant: fc.subarray([...tenants], { minLength: 1 }),
    priority: fc.subarray(['interactive', 'batch'] as const, { minLength: 1 }),
    toolAmbiguityAtLeastPpm: ppm,
    traceTroubleAtLeastPpm: ppm,
    priorFailuresAtLeast: fc.integer({ min: 1, max: 3 }),
    toolCountAtLeast: fc.integer({ min: 1, max: 5 }),
  },
  { requiredKeys: [] },
)
const choose = fc.oneof(
  fc.record({ tier: fc.constantFrom('oss' as const, 'frontier' as const, 'refuse' as const) }),
  fc.record({ tier: fc.constant('oss' as const), model: fc.constantFrom(...ossModels) }),
  fc.record({ tier: fc.constant('frontier' as const), model: fc.constantFrom(...frontierModels) }),
)

const bases = { gainPpm, pSuccessPpm: ppm }
const perKind = fc.dictionary(fc.constantFrom(...stepKinds), fc.record(bases, { requiredKeys: [] }), { maxKeys: 5 })
const shifts = { priorFailurePpm: ppm, traceTroublePpm: ppm, toolAmbiguityPpm: ppm }
const threshold = fc.record(
  {
    ...shifts,
    ...bases,
    perKind,
    perTenant: fc.dictionary(fc.constantFrom(...tenants), fc.record({ ...bases, perKind }, { requiredKeys: [] })),
  },
  { requiredKeys: ['pSuccessPpm', 'priorFailurePpm', 'traceTroublePpm', 'toolAmbiguityPpm'] },
)

/** Any policy of up to four models, in any places, for two tenants. It need not be one that `check` lets pass. */
export const anyPolicy: fc.Arbitrary<CompiledPolicy> = fc
  .record({
    version: fc.constant(1 as const),
    airGapped: mostly(false, fc.constant(true)),
    models: fc.tuple(...ossModels.map((id) => model(id, 'oss')), ...frontierModels.map((id) => model(id, 'frontier'))),
    backends: fc.tuple(...[...ossModels, ...ossModels].map((id) => fc.record({ model: fc.constant(id), ...place }))),
    providers: fc.tuple(
      fc.record({ models: fc.constant([...frontierModels]), ...place }),
      fc.record({ models: fc.subarray([...frontierModels], { minLength: 1 }), ...place }),
    ),
    tenants: fc.tuple(
      ...tenants.map((id) =>
        fc.record({
          id: fc.constant(id),
          allowedRegions: mostly<string[] | null>(null, fc.subarray([...regions], { minLength: 1 }), 1),
          requiredTags: mostly<string[]>([], fc.subarray([...tags]), 2),
          frontierAllowed: mostly(true, fc.constant(false), 2),
          taskBudgetMicroUsd: mostly<number | null>(null, fc.integer({ min: 0, max: 100_000 })),
        }),
      ),
    ),
    rules: fc.array(fc.record({ when, choose }), { maxLength: 3 }),
    threshold,
    budget: fc.record({ whenExhausted: fc.constantFrom('oss' as const, 'refuse' as const) }),
    limits: fc.record({ maxAttempts: mostly(5, fc.integer({ min: 1, max: 4 })) }),
  })
  .map((file) =>
    compilePolicy(
      policySchema.parse({
        ...file,
        backends: file.backends.map((one, i) => ({ ...one, id: `b${i}`, baseUrl: 'http://127.0.0.1:1/v1' })),
        providers: file.providers.map((one, i) => ({ ...one, id: `p${i}`, api: 'stand_in' })),
        rules: file.rules.map((one, i) => ({ ...one, name: `r${i}` })),
      }),
    ),
  )

export const anyFacts: fc.Arbitrary<StepFacts> = fc.record({
  tenantId: fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom<string[]>(...tenants) },
    { weight: 1, arbitrary: fc.constant('nobody') },
  ),
  kind: fc.constantFrom(...stepKinds),
  priority: fc.constantFrom('interactive', 'batch'),
  requestedModel: fc.option(fc.constantFrom(...models, 'gpt')),
  allowedRegions: mostly<string[] | null>(null, fc.subarray([...regions, 'mars']), 2),
  requiredTags: mostly<string[]>([], fc.subarray([...tags, 'secret'], { maxLength: 2 }), 2),
  frontierAllowed: mostly(true, fc.constant(false)),
  deadlineAtMs: mostly<number | null>(null, fc.constantFrom(nowMs - 1, nowMs, nowMs + 1), 9),
  receivedAtMs: mostly(nowMs, fc.constantFrom(-1, 0, nowMs - 700_000), 9),
  taskBudgetMicroUsd: mostly<number | null>(null, fc.integer({ min: 0, max: 1_000_000 }), 2),
  maxOutputTokens: fc.option(fc.integer({ min: 1, max: 2 ** 31 - 1 })),
  requestBytes: fc.nat(1_048_576),
  promptTokens: mostly(120, fc.oneof(fc.nat(9_000), fc.nat(2_000_000))),
  messageCount: fc.nat(50),
  imageCount: mostly(0, fc.constant(1), 6),
  toolCount: fc.constantFrom(0, 1, 14),
  toolAmbiguityPpm: ppm,
  traceTroublePpm: ppm,
  toolErrors: fc.nat(3),
  repeatedCalls: fc.nat(3),
  unknownToolCalls: fc.nat(3),
  malformedCalls: fc.nat(3),
  turnsSinceTrouble: fc.option(fc.nat(9)),
  pSuccessPpm: ppm,
  gainPpm: fc.option(gainPpm, { freq: 2 }),
  priorAttempts: fc.array(
    fc.record({
      tier: fc.constantFrom('oss' as const, 'frontier' as const),
      model: maybe(fc.constantFrom(...models)).map((id) => id ?? 'gone'),
      verdict: fc.constant('truncated'),
      transient: fc.boolean(),
      costMicroUsd: fc.nat(10_000),
    }),
    { maxLength: 4, size: 'xsmall' },
  ),
  scoredBy: fc.constantFrom('hand_weighted', 'trained', 'http'),
  scorerFallback: fc.constantFrom(null, 'timeout'),
})

export const anySnapshot: fc.Arbitrary<LedgerSnapshot> = fc.record({
  nowMs: fc.constant(nowMs),
  budgetLeftMicroUsd: mostly<number | null>(null, fc.nat(1_000_000), 2),
  failuresPpm: mostly<Record<string, number> | null>(
    null,
    fc.dictionary(fc.constantFrom('task', 'tool:search', 'kind:reasoning', ...models.map((id) => `model:${id}`)), ppm),
    2,
  ),
  unavailableModels: fc.subarray([...models]),
  ledgerLagMs: fc.constant(null),
  taskLeftMicroUsd: mostly<number | null>(null, fc.nat(1_000_000), 2),
  taskSteps: mostly<number | null>(null, fc.nat(40), 2),
})
