import { afterAll, beforeAll, beforeEach, expect, inject, onTestFailed, test, vi } from 'vitest'
import { pino } from 'pino'
import { openKafkaSource } from '#lib/audit/kafka-source'
import { readPolicyLibrary } from '#lib/audit/policy-library'
import { createRegistry } from '#lib/events/registry'
import type { DecisionRecord } from '#lib/events/types.generated'
import { activatePolicy } from '#lib/policy/activate'
import type { LoadedPolicy } from '#lib/policy/load'
import { readScorerFile } from '#lib/policy/scorer-file'
import { noDecisions, verifyDecisions, type Finding, type PlacedDecision } from '#lib/replay/verify-decisions'
import type { Reason } from '#lib/routing/reasons'
import { createKafkaFactory } from '#lib/stream/kafka'
import { decideUnderLoad } from '../support/decide-under-load.ts'
import { startPipeline, type Pipeline } from '../support/pipeline.ts'
import { publishSteadily } from '../support/pipeline-steps.ts'
import { variedPolicies } from '../support/varied-policies.ts'
import { variedSteps } from '../support/varied-steps.ts'
import { waitUntil } from '../support/wait-until.ts'

// Real processes on a machine that may be slow: a limit for what hangs, not for what takes time.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000 })

const stepsAWave = 700
const scorer = readScorerFile()
const log = pino({ level: 'silent' })
const expectedReasons: readonly Reason[] = [
  'confident',
  'rule',
  'ambiguous_tools',
  'trace_trouble',
  'prior_failure',
  'failure_memory',
  'attempts_exhausted',
  'budget_exhausted',
  'frontier_not_allowed',
  'residency',
  'compliance',
  'deadline',
]
let pipeline: Pipeline
let policies: LoadedPolicy[]
let failed = false

beforeAll(async () => {
  pipeline = await startPipeline({ stack: inject('stack'), replicas: { classifier: 2 }, oss: [{}] })
  policies = variedPolicies({
    ossUrl: pipeline.models.oss[0]!.url,
    frontierUrl: pipeline.models.frontier.url,
    apiKeyEnv: 'SIMULATOR_KEY',
    scorerHash: scorer.hash,
  })
})
beforeEach(() => onTestFailed(() => void (failed = true)))
afterAll(() => pipeline?.stopAll({ failed }))

const kafka = createKafkaFactory({ log }, { brokers: [...inject('stack').brokers] })

async function activate(policy: LoadedPolicy): Promise<void> {
  const order = { namespace: pipeline.namespace, actor: 'test', reason: 'test', scorer }
  await activatePolicy({ kafka, codec: pipeline.codec, nowMs: Date.now }, policy, order)
  const inForce = new RegExp(`"policyHash":"${policy.hash}".*"policy in force"`)
  await waitUntil(
    () => [0, 1].every((index) => inForce.test(pipeline.logOf('classifier', index))),
    'both classifiers to follow the policy',
  )
}

/** Every decision of the audit made again from what agent.audit and agent.policies hold. */
async function remakeAll() {
  const { codec, namespace } = pipeline
  const registry = createRegistry(inject('stack').registryUrl)
  await using source = openKafkaSource({ kafka, codec, registry, log }, namespace)
  const library = await readPolicyLibrary(source)
  const progress = { positions: new Map<number, number>(), counts: noDecisions() }
  const findings: Finding[] = []
  const decisions: PlacedDecision[] = []
  await verifyDecisions(source, library, {
    range: {},
    progress,
    onFinding: (finding) => findings.push(finding),
    alsoCheck: async (batch) => void decisions.push(...batch),
  })
  return { library, findings, counts: progress.counts, decisions: decisions.map(({ record }) => record) }
}

test('I4: decisions made under load, over three changes of policy and a crash, are made again byte for byte', async () => {
  const waves = policies.map((_policy, i) => variedSteps(stepsAWave, `wave${i}`))
  const { killedAtMs } = await decideUnderLoad(
    {
      publish: (steps) => publishSteadily(pipeline.client, steps, 300),
      activate,
      links: async () => Promise.resolve(pipeline.read('agent.audit').length),
      kill: () => pipeline.kill9('classifier', 0),
      restart: () => pipeline.restart('classifier', 0),
    },
    policies,
    waves,
  )
  await pipeline.untilResults(4 * stepsAWave, 120_000)
  await pipeline.untilIdle()
  await pipeline.expectAudit()

  const { counts, findings, decisions, library } = await remakeAll()
  expect(findings).toEqual([])
  expect(counts.same).toBe(counts.decisions)
  expect(new Set(decisions.map(({ stepId }) => stepId)).size).toBe(4 * stepsAWave)

  const byPolicy = Map.groupBy(decisions, ({ policyHash }) => policyHash.toString('hex'))
  expect(new Set(byPolicy.keys())).toEqual(new Set(policies.map(({ hash }) => hash)))
  const isBefore = ({ snapshot }: DecisionRecord) => snapshot.nowMs < killedAtMs
  expect(decisions.filter(isBefore).length).toBeGreaterThan(0)
  expect(byPolicy.get(policies[1]!.hash)!.filter((decision) => !isBefore(decision)).length).toBeGreaterThan(0)

  // What decided is there to be read, and whatever a scorer decided names it.
  for (const { scorerHash } of decisions)
    if (scorerHash) expect(library.scorer(scorerHash.toString('hex'))).toBeDefined()
  const ofScorer = byPolicy.get(policies[3]!.hash)!
  expect(new Set(ofScorer.map(({ scorerHash }) => scorerHash?.toString('hex')))).toEqual(new Set([scorer.hash]))
  expect(new Set(ofScorer.map(({ facts }) => facts.scoredBy))).toEqual(new Set(['trained', 'hand_weighted']))

  // The load went many ways, so that equal bytes say something.
  expect(new Set(decisions.map(({ outcome }) => outcome.action))).toEqual(
    new Set(['route', 'refuse', 'expire', 'fail']),
  )
  const reasons = new Set<string>(decisions.flatMap(({ outcome }) => outcome.reasons))
  for (const reason of expectedReasons) expect(reasons).toContain(reason)
})
