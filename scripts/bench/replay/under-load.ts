import { readFileSync } from 'node:fs'
import { openKafkaSource } from '#lib/audit/kafka-source'
import { readPolicyLibrary } from '#lib/audit/policy-library'
import { completeStep, type StepInput } from '#lib/client/step-input'
import { createRegistry } from '#lib/events/registry'
import { twinFor } from '#lib/events/topics'
import { activatePolicy } from '#lib/policy/activate'
import type { LoadedPolicy } from '#lib/policy/load'
import { readScorerFile } from '#lib/policy/scorer-file'
import { noDecisions, verifyDecisions, type Finding, type PlacedDecision } from '#lib/replay/verify-decisions'
import type { Part } from '../../../cli/stack/part.ts'
import type { Infrastructure } from '../../../cli/stack/stack.ts'
import { decideUnderLoad } from '../../../test/support/decide-under-load.ts'
import { variedPolicies } from '../../../test/support/varied-policies.ts'
import { variedSteps } from '../../../test/support/varied-steps.ts'
import { waitUntil } from '../../../test/support/wait-until.ts'
import type { Figure } from '../figures.ts'
import { startBackend } from '../spine/backend.ts'
import { startBenchStack, type BenchStack } from '../spine/bench-stack.ts'
import { benchPartitions } from '../spine/with-backend.ts'

const stepsAWave = 25_000
const decisionsWanted = 100_000
/** For what hangs. */
const timeoutMs = 1_800_000
const scorer = readScorerFile()

/**
 * I4: two classifiers, a pool and the ledger decide 100,000 times under load, while the policy changes three times and one
 * classifier is killed and started again; then every decision is made again from the log alone. No worker calls the
 * frontier: what is held for it stays held, so that budgets run out.
 */
export async function underLoad(infrastructure: Infrastructure, dir: string): Promise<Figure[]> {
  await using ended = new AsyncDisposableStack()
  const oss = ended.adopt(await startBackend({ latencyMs: 5, slots: 256 }), (started) => started.stop())
  const models = { ossUrl: oss.url, frontierUrl: oss.url, apiKeyEnv: 'BENCH_KEY', scorerHash: scorer.hash }
  const policies = variedPolicies(models)
  const stack = await startBenchStack({
    infrastructure,
    dir,
    partitions: benchPartitions,
    ossUrl: oss.url,
    maxInFlight: 256,
    withLedger: true,
  })
  ended.defer(() => stack.stop())
  await stack.startService('ledger')
  const classifiers = await Promise.all([startClassifier(stack, 0), startClassifier(stack, 1)])
  await stack.startService('oss-pool')

  const startedAtMs = performance.now()
  const { killedAtMs } = await decideUnderLoad(
    {
      publish: (steps) => publish(stack, steps),
      activate: (policy) => activate(stack, policy, classifiers),
      links: () => stack.logEnd(stack.topic('agent.audit')),
      kill: () => classifiers[0].kill9(),
      restart: async () => void (classifiers[0] = await startClassifier(stack, 0)),
    },
    policies,
    policies.map((_policy, i) => variedSteps(stepsAWave, `wave${i}`)),
  )
  await untilQuiet(stack)
  const seconds = (performance.now() - startedAtMs) / 1_000
  return figuresOf(await remakeAll(stack, infrastructure), { policies, killedAtMs, seconds })
}

/** Its log tells which policy it follows. */
function startClassifier(stack: BenchStack, index: number): Promise<Part> {
  return stack.startService('classifier', { id: `classifier-${index}`, env: { SHUNT_LOG_LEVEL: 'info' } })
}

async function publish(stack: BenchStack, steps: readonly StepInput[]): Promise<void> {
  for (const [priority, some] of Map.groupBy(steps.map(completeStep), (step) => step.priority))
    await stack.fill(
      stack.topic(twinFor('agent.steps', priority)),
      some.map((step) => ({ key: step.taskId, value: stack.codec.encode('step', step) })),
    )
}

async function activate(stack: BenchStack, policy: LoadedPolicy, classifiers: readonly Part[]): Promise<void> {
  const { kafka, codec, namespace } = stack
  const order = { namespace, actor: 'bench', reason: 'a change under load', scorer }
  await activatePolicy({ kafka, codec, nowMs: Date.now }, policy, order)
  const inForce = new RegExp(`"policyHash":"${policy.hash}".*"policy in force"`)
  const follows = ({ logFile }: Part) => inForce.test(readFileSync(logFile, 'utf8'))
  await waitUntil(() => classifiers.every(follows), 'both classifiers to follow the policy', timeoutMs)
}

/** All steps are decided, and those that came back as well. */
async function untilQuiet(stack: BenchStack): Promise<void> {
  const topics = ['agent.steps', 'agent.steps.batch', 'agent.steps.reroute', 'agent.steps.reroute.batch'].map(
    stack.topic,
  )
  const total = async (read: (topic: string) => Promise<number>) =>
    (await Promise.all(topics.map(read))).reduce((sum, count) => sum + count, 0)
  let before = ''
  let sameLooks = 0
  await waitUntil(
    async () => {
      const now = `${await total((topic) => stack.committed('classifier', topic))} ${await stack.logEnd(stack.topic('agent.audit'))}`
      sameLooks = now === before ? sameLooks + 1 : 0
      before = now
      // Five seconds.
      return sameLooks >= 100 && (await total((topic) => stack.committed('classifier', topic))) >= 4 * stepsAWave
    },
    'the last steps to be decided',
    timeoutMs,
  )
}

/** Only counts are kept of what was made again. */
async function remakeAll({ kafka, codec, log, namespace }: BenchStack, { registryUrl }: Infrastructure) {
  await using source = openKafkaSource({ kafka, codec, registry: createRegistry(registryUrl), log }, namespace)
  const library = await readPolicyLibrary(source)
  const progress = { positions: new Map<number, number>(), counts: noDecisions() }
  const findings: Finding[] = []
  const seen = { decisions: [] as { policyHash: string; nowMs: number }[], reasons: new Set<string>(), lostScorers: 0 }
  const look = ({ record: { policyHash, scorerHash, snapshot, outcome } }: PlacedDecision) => {
    seen.decisions.push({ policyHash: policyHash.toString('hex'), nowMs: snapshot.nowMs })
    for (const reason of outcome.reasons) seen.reasons.add(reason)
    if (scorerHash && !library.scorer(scorerHash.toString('hex'))) seen.lostScorers += 1
  }
  await verifyDecisions(source, library, {
    range: {},
    progress,
    onFinding: (finding) => findings.push(finding),
    alsoCheck: async (batch) => batch.forEach(look),
  })
  return { counts: progress.counts, findings, ...seen }
}

function figuresOf(
  { counts, findings, decisions, reasons, lostScorers }: Awaited<ReturnType<typeof remakeAll>>,
  { policies, killedAtMs, seconds }: { policies: readonly LoadedPolicy[]; killedAtMs: number; seconds: number },
): Figure[] {
  const by = (hash: string) => decisions.filter(({ policyHash }) => policyHash === hash)
  const perPolicy = policies.map(({ hash }) => by(hash).length)
  const duringCrash = by(policies[1]!.hash)
  const before = duringCrash.filter(({ nowMs }) => nowMs < killedAtMs).length
  const after = duringCrash.length - before
  if (Math.min(...perPolicy, before, after) === 0)
    throw new Error(`a policy or a side of the crash decided nothing: ${perPolicy.join(', ')}; ${before}, ${after}`)
  const [first] = findings
  return [
    {
      name: 'I4: decisions that are not made again byte for byte',
      key: 'underLoadDifferences',
      value: findings.length + lostScorers,
      unit: '',
      target: { atMost: 0 },
      note:
        first === undefined
          ? `policies decided ${perPolicy.join(', ')}; before the kill -9 ${before} and after it ${after} by the second`
          : `the first: ${JSON.stringify(first)}`,
    },
    {
      name: 'I4: decisions made under load',
      value: counts.decisions,
      unit: '',
      target: { atLeast: decisionsWanted },
      note: `in ${Math.round(seconds)} s, for ${reasons.size} reasons: ${[...reasons].toSorted().join(', ')}`,
    },
  ]
}
