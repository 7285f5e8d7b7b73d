import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import type { LedgerSnapshot, StepFacts } from '#lib/events/types.generated'
import { canonicalJson } from '#lib/policy/canonical-json'
import type { CompiledPolicy } from '#lib/policy/compile-policy'
import { checkPolicy } from '#lib/policy/load'
import { policyHash } from '#lib/policy/policy-hash'
import { engines, engineVersion } from '#lib/routing/decide'
import { anyFacts, anyPolicy, anySnapshot } from '../lib/routing/arbitraries.ts'
import { failed, makeFacts, makePolicy, makeSnapshot, nowMs } from '../lib/routing/make-facts.ts'
import { outcomeTypeOf } from './golden-outcome.ts'

// `node test/support/write-golden-decisions.ts`: writes the golden decisions of a new version of the engine, and appends
// those whose names are not there yet. What is there is never written again: it is what that version decided.

const dir = fileURLToPath(new URL('../golden/decisions/', import.meta.url))

interface Case {
  name: string
  policy: CompiledPolicy
  facts: StepFacts
  snapshot: LedgerSnapshot
}

const base = { gainPpm: 200_000, pSuccessPpm: 500_000 }
const byGain = makePolicy({ threshold: base })
const narrowed = makePolicy({
  threshold: {
    ...base,
    perKind: { reasoning: { gainPpm: 50_000 }, extraction: { pSuccessPpm: 700_000 } },
    perTenant: {
      clinic: { gainPpm: 0 },
      acme: { perKind: { tool_call: { gainPpm: -100_000, pSuccessPpm: 900_000 } } },
    },
  },
})
const onlyReasoning = makePolicy({ threshold: { perKind: { reasoning: { gainPpm: 100_000 } } } })
const ruled = makePolicy({
  threshold: base,
  rules: [{ name: 'reasoning up', when: { kind: ['reasoning'] }, choose: { tier: 'frontier' } }],
})

function named(name: string, policy: CompiledPolicy, facts: Partial<StepFacts>, snapshot = {}): Case {
  return { name, policy, facts: makeFacts(facts), snapshot: makeSnapshot(snapshot) }
}
const gains = [-1_000_000, -1, 0, 199_999, 200_000, 1_000_000]
const shifts: Record<string, Partial<StepFacts>> = {
  'a failure': { priorAttempts: [failed('oss-a')] },
  'a passing failure': { priorAttempts: [failed('oss-a', { transient: true })] },
  trouble: { traceTroublePpm: 400_000 },
  'ambiguous tools': { toolCount: 5, toolAmbiguityPpm: 600_000 },
  'small shifts': { traceTroublePpm: 90_000, toolAmbiguityPpm: 90_000, toolCount: 2 },
  everything: {
    priorAttempts: [failed('oss-a'), failed('oss-b')],
    traceTroublePpm: 1_000_000,
    toolCount: 9,
    toolAmbiguityPpm: 1_000_000,
  },
}
const standings: Record<string, Partial<LedgerSnapshot>> = {
  'the task fails': { failuresPpm: { task: 800_000 } },
  'a tool fails': { failuresPpm: { 'tool:search': 900_000, 'tool:book': 100_000 } },
  'the kind fails': { failuresPpm: { 'kind:classification': 700_000 } },
  'one open model fails': { failuresPpm: { 'model:oss-a': 900_000 } },
  'all open models fail': { failuresPpm: { 'model:oss-a': 900_000, 'model:oss-b': 500_000 } },
  'the money lasts': { budgetLeftMicroUsd: 900_000, taskLeftMicroUsd: 900_000, taskSteps: 3 },
  'the money runs short': { budgetLeftMicroUsd: 2_000, taskLeftMicroUsd: 2_000, taskSteps: 3 },
  'the last step, and little money': { budgetLeftMicroUsd: 900, taskLeftMicroUsd: 900, taskSteps: 25 },
  'no money': { budgetLeftMicroUsd: 0, taskLeftMicroUsd: 0, taskSteps: 3 },
  'failures, and the money runs short': {
    failuresPpm: { task: 500_000, 'tool:search': 500_000 },
    budgetLeftMicroUsd: 2_000,
    taskLeftMicroUsd: 2_000,
    taskSteps: 3,
  },
}
const weighted = makePolicy({
  budget: { expectedSteps: 10, expectedFrontierSharePpm: 500_000 },
  threshold: {
    taskFailuresPpm: 400_000,
    toolFailuresPpm: 0,
    kindFailuresPpm: 200_000,
    modelFailuresPpm: 100_000,
    budgetScarcityPpm: 500_000,
  },
})
const newest: Case[] = [
  ...gains.map((gainPpm) => named(`gain ${gainPpm}`, byGain, { gainPpm, scoredBy: 'trained' })),
  ...Object.entries(shifts).flatMap(([name, facts]) => [
    ...[-900_000, 40_000, 160_000, 300_000].map((gainPpm) =>
      named(`gain ${gainPpm}, ${name}`, byGain, { ...facts, gainPpm }),
    ),
    ...[300_000, 580_000, 900_000].map((pSuccessPpm) =>
      named(`no gain, chance ${pSuccessPpm}, ${name}`, byGain, { ...facts, pSuccessPpm }),
    ),
  ]),
  ...(['classification', 'reasoning', 'extraction', 'tool_call'] as const).flatMap((kind) =>
    ['acme', 'clinic'].flatMap((tenantId) => [
      named(`bases of ${tenantId}, ${kind}, gain`, narrowed, { kind, tenantId, gainPpm: 60_000 }),
      named(`bases of ${tenantId}, ${kind}, chance`, narrowed, {
        kind,
        tenantId,
        pSuccessPpm: 600_000,
        scoredBy: 'http',
        scorerFallback: 'timeout',
      }),
      named(`gain of one kind only, ${tenantId}, ${kind}`, onlyReasoning, { kind, tenantId, gainPpm: 150_000 }),
    ]),
  ),
  named('a rule before the gain', ruled, { kind: 'reasoning', gainPpm: -500_000 }),
  named('no gain, yet the open models are away', byGain, { gainPpm: 0 }, { unavailableModels: ['oss-a', 'oss-b'] }),
  named('gain, yet no money', byGain, { gainPpm: 900_000, taskBudgetMicroUsd: 1 }),
  named('gain, yet no frontier', byGain, { gainPpm: 900_000, tenantId: 'clinic' }),
  named('gain at the deadline', byGain, { gainPpm: 900_000, deadlineAtMs: 1 }),
  ...Object.entries(standings).flatMap(([name, snapshot]) => [
    ...[-900_000, 60_000, 180_000, 240_000, 900_000].map((gainPpm) =>
      named(`gain ${gainPpm}, ${name}`, byGain, { gainPpm }, snapshot),
    ),
    ...[100_000, 480_000, 620_000, 900_000].map((pSuccessPpm) =>
      named(`chance ${pSuccessPpm}, ${name}`, weighted, { pSuccessPpm }, snapshot),
    ),
  ]),
  ...soundPolicies(6).flatMap((policy, i) => {
    const inputs = fc.sample(fc.tuple(anyFacts, anySnapshot), { seed: 10 * engineVersion + i, numRuns: 16 })
    return inputs.map(([facts, snapshot], j) => ({ name: `generated ${i + 1}.${j + 1}`, policy, facts, snapshot }))
  }),
]

/** Such as `shunt policy check` lets pass, since only these are ever in force. */
function soundPolicies(count: number): CompiledPolicy[] {
  return fc
    .sample(anyPolicy, { seed: engineVersion, numRuns: 50 * count })
    .filter((policy) => checkPolicy(contentOf(policy)).loaded !== null)
    .slice(0, count)
}

function contentOf(policy: CompiledPolicy): string {
  return canonicalJson(JSON.parse(JSON.stringify({ ...policy, index: undefined })))
}

/** For every version: the ways through what they share (lib/routing/route-step), each of which ends otherwise. */
function branches(): Case[] {
  const [unsure, sure] = [{ pSuccessPpm: 100_000 }, { pSuccessPpm: 950_000 }]
  const choose = { tier: 'frontier' as const }
  const preferred = { ...choose, model: 'frontier-b' }
  const prefers = makePolicy({ rules: [{ name: 'b first', when: { kind: ['classification'] }, choose: preferred }] })
  const refuses = makePolicy({
    rules: [
      { name: 'none for the clinic', when: { tenant: ['clinic'] }, choose: { tier: 'refuse' } },
      { name: 'open', when: { requestedModel: ['small'] }, choose: { tier: 'oss', model: 'oss-b' } },
      { name: 'batch', when: { priority: ['batch'], kind: ['routing'] }, choose },
      { name: 'many tools', when: { toolCountAtLeast: 7 }, choose },
      { name: 'alike', when: { toolAmbiguityAtLeastPpm: 500_000 }, choose },
      { name: 'in circles', when: { traceTroubleAtLeastPpm: 800_000 }, choose: { tier: 'refuse' } },
      { name: 'failed', when: { priorFailuresAtLeast: 1 }, choose },
    ],
  })
  const airGapped = makePolicy({ airGapped: true })
  const { models, backends } = makePolicy()
  const onlyOpen = makePolicy({ models: models.filter(({ tier }) => tier === 'oss'), providers: [] })
  const twice = makePolicy({ limits: { maxAttempts: 2 } })
  const strict = makePolicy({ budget: { whenExhausted: 'refuse' } })
  const timed = makePolicy({ limits: { defaultDeadlineMs: 60_000, batchDeadlineMs: 3_600_000 } })
  const capped = makePolicy({ tenants: [{ id: 'acme', taskBudgetMicroUsd: 2_000, dayBudgetMicroUsd: 1_500 }] })
  const apart = makePolicy({ backends: backends.filter(({ id }) => id !== 'a-us') })
  const longAgo = { receivedAtMs: nowMs - 120_000 }
  return [
    ...Object.entries<Partial<StepFacts>>({
      'of a tenant': { tenantId: 'clinic' },
      'by the model that is asked for': { requestedModel: 'small' },
      'by another model that is asked for': { requestedModel: 'large' },
      'of a batch': { priority: 'batch', kind: 'routing' },
      'of many tools': { toolCount: 7 },
      'of tools that are alike': { toolCount: 2, toolAmbiguityPpm: 500_000 },
      'of a trace': { traceTroublePpm: 800_000 },
      'of failures': { priorAttempts: [failed('oss-a')] },
      'of no failure that counts': { priorAttempts: [failed('oss-a', { transient: true })] },
    }).map(([name, facts]) => named(`a rule ${name}`, refuses, facts)),
    named('the preferred model', prefers, {}),
    named('the preferred model is forbidden', prefers, { requiredTags: ['hipaa'] }),
    named('the preferred model is away', prefers, {}, { unavailableModels: ['frontier-b'] }),
    named('the preferred model has failed', prefers, { priorAttempts: [failed('frontier-b')] }),
    named('the preferred model has failed in passing', prefers, {
      priorAttempts: [failed('frontier-b', { transient: true })],
    }),
    named('the whole preferred tier has failed', prefers, {
      priorAttempts: [failed('frontier-a'), failed('frontier-b')],
    }),
    named('air-gapped, unsure', airGapped, unsure),
    named('air-gapped, sure', airGapped, sure),
    named('air-gapped, with images', airGapped, { imageCount: 1 }),
    named('air-gapped, nowhere', airGapped, { allowedRegions: ['mars'] }),
    named('no frontier model, unsure', onlyOpen, unsure),
    named('attempts used up', twice, { priorAttempts: [failed('oss-a'), failed('frontier-a')] }),
    named('one attempt left', twice, { priorAttempts: [failed('oss-a')] }),
    named('no money for the frontier, refused', strict, { ...unsure, taskBudgetMicroUsd: 1 }),
    named('no money for the frontier, and no need of it', strict, { ...sure, taskBudgetMicroUsd: 1 }),
    named('no frontier allowed, and no money', strict, { ...unsure, frontierAllowed: false, taskBudgetMicroUsd: 1 }),
    named("the policy's deadline is over", timed, longAgo),
    named("the policy's deadline of a batch is not", timed, { ...longAgo, priority: 'batch' }),
    named('no time of arrival', timed, { receivedAtMs: 0 }),
    named('at the very deadline', timed, { deadlineAtMs: nowMs }),
    named('right before the deadline', timed, { deadlineAtMs: nowMs + 1 }),
    named("the tenant's caps", capped, unsure),
    named("the tenant's caps, in part spent", capped, {
      ...unsure,
      priorAttempts: [failed('frontier-a', { costMicroUsd: 900 })],
    }),
    named("the step's cap, overspent", capped, {
      ...unsure,
      taskBudgetMicroUsd: 100,
      priorAttempts: [failed('frontier-a', { costMicroUsd: 900 })],
    }),
    named("the ledger's figure before the caps", capped, unsure, { taskSteps: 2, budgetLeftMicroUsd: 50_000 }),
    named("the ledger's figure, and little left", capped, unsure, { taskSteps: 2, budgetLeftMicroUsd: 10 }),
    named('a tag and a region at no one place', apart, { requiredTags: ['hipaa'], allowedRegions: ['us'], ...sure }),
    named('a tag and no region', apart, { requiredTags: ['hipaa'], ...sure }),
    named('a prompt that leaves little room', byGain, { promptTokens: 7_950, maxOutputTokens: 400, ...sure }),
    named('a prompt that leaves less than the least', byGain, { promptTokens: 7_937, maxOutputTokens: 400, ...sure }),
    named('a short answer to it', byGain, { promptTokens: 7_990, maxOutputTokens: 10, ...sure }),
    named('no length asked for', byGain, { maxOutputTokens: null, ...unsure }),
    named('small shifts that decide together', byGain, {
      toolCount: 2,
      traceTroublePpm: 90_000,
      toolAmbiguityPpm: 90_000,
      pSuccessPpm: base.pSuccessPpm + 1,
    }),
    named('nobody knows the tenant', byGain, { tenantId: 'nobody' }),
  ]
}

const shared = branches()
for (const [version, decide] of engines) {
  const target = `${dir}engine-${version}.jsonl`
  const there = existsSync(target) ? readFileSync(target, 'utf8').trim().split('\n') : []
  const names = new Set(there.map((line) => (JSON.parse(line) as Case).name))
  const type = outcomeTypeOf(version)
  const lines = [...(version === engineVersion ? newest : []), ...shared]
    .filter(({ name }) => !names.has(name))
    .map(({ name, policy, facts, snapshot }) => {
      const content = contentOf(policy)
      const hash = policyHash(JSON.parse(content))
      writeFileSync(`${dir}policies/${hash}.json`, content)
      const written = type.toBuffer(decide(facts, snapshot, policy))
      const outcome = JSON.stringify(type.fromBuffer(written))
      return JSON.stringify({
        name,
        policyHash: hash,
        facts,
        snapshot,
        outcome,
        outcomeAvro: written.toString('base64'),
      })
    })
  if (lines.length > 0) appendFileSync(target, `${lines.join('\n')}\n`)
  console.log(`${target}: ${lines.length} decisions`)
}
