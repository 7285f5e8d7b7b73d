import { existsSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { avroType } from '#lib/events/avro-type'
import type { LedgerSnapshot, StepFacts } from '#lib/events/types.generated'
import { canonicalJson } from '#lib/policy/canonical-json'
import type { CompiledPolicy } from '#lib/policy/compile-policy'
import { checkPolicy } from '#lib/policy/load'
import { policyHash } from '#lib/policy/policy-hash'
import { decide, engineVersion } from '#lib/routing/decide'
import { anyFacts, anyPolicy, anySnapshot } from '../lib/routing/arbitraries.ts'
import { failed, makeFacts, makePolicy, makeSnapshot } from '../lib/routing/make-facts.ts'

// `node test/support/write-golden-decisions.ts`: writes the golden decisions of a new version of the engine, once. What is
// there is never written again: it is what that version decided.

const dir = fileURLToPath(new URL('../golden/decisions/', import.meta.url))
const target = `${dir}engine-${engineVersion}.jsonl`
if (existsSync(target)) throw new Error(`${target} is there: golden decisions are not rewritten`)

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
const cases: Case[] = [
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

const outcomeType = (
  avroType('decision-record') as unknown as { field(name: string): { type: ReturnType<typeof avroType> } }
).field('outcome').type

const lines = cases.map(({ name, policy, facts, snapshot }) => {
  const content = contentOf(policy)
  const hash = policyHash(JSON.parse(content))
  writeFileSync(`${dir}policies/${hash}.json`, content)
  const written = outcomeType.toBuffer(decide(facts, snapshot, policy))
  return JSON.stringify({
    name,
    policyHash: hash,
    facts,
    snapshot,
    outcome: JSON.stringify(outcomeType.fromBuffer(written)),
    outcomeAvro: written.toString('base64'),
  })
})
writeFileSync(target, `${lines.join('\n')}\n`)
console.log(`${target}: ${lines.length} decisions`)
