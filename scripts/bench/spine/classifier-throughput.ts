import { inNamespace } from '#lib/events/topics'
import { validateStep } from '#lib/events/validate-step'
import { parseStep } from '#lib/events/parse-step'
import { sha256 } from '#lib/audit/records'
import { createChain } from '#lib/audit/chain'
import { createBudgets, type Budgets, type Standing } from '#lib/ledger/budgets'
import { createClaims } from '#lib/ledger/claims'
import { createLedgerState, openLedger } from '#lib/ledger/ledger-state'
import { createHttpFetch } from '#lib/models/http-fetch'
import { parsePolicy } from '#lib/policy/load'
import { decide } from '#lib/routing/decide'
import { extractFacts } from '#lib/routing/facts'
import { noLedger } from '#lib/routing/no-ledger'
import { createScoreStep } from '#lib/scoring/score-step'
import { decideStep } from '../../../services/classifier/decide-step.ts'
import type { Figure } from '../figures.ts'
import { runBareLoop } from './bare-loop.ts'
import { measureRate, type BenchStack } from './bench-stack.ts'
import { benchModel, benchPolicy, benchTenant, makeStep } from './load.ts'

const records = 40_000
const stepBytes = 1_024

/** Transactional steps a second through one classifier process, against the bare loop over the same records. */
export async function classifierThroughput(stack: BenchStack, partitions: number): Promise<Figure[]> {
  const steps = Array.from({ length: records }, () => makeStep(stepBytes))
  const topic = stack.topic('agent.steps')
  await stack.fill(
    topic,
    steps.map((step) => ({ key: step.taskId, value: stack.codec.encode('step', step) })),
  )
  const outTopic = stack.topic('agent.feedback')
  const runBare = () => runBareLoop(() => stack.kafka('bare'), { topic, outTopic, partitions, records })
  const before = await runBare()
  const service = await stack.startService('classifier')
  const rate = await measureRate(() => stack.committed('classifier', topic), records)
  await service.stop()
  // Before and after: other load on the machine comes and goes.
  const after = await runBare()
  const bare = (before + after) / 2
  const parts = await partsOfAStep(stack)
  const known = parts.reduce((sum, { micros }) => sum + micros, 0)
  const ofLedger = parts.find(({ part }) => part === ledgerPart)!.micros
  return [
    {
      name: 'classifier, share of the bare loop',
      value: (100 * rate) / bare,
      unit: '%',
      target: { atLeast: 25 },
      note: `${Math.round(rate)} steps/s of 1 kB with decision, claim and audit; bare loop ${Math.round(before)}/s before and ${Math.round(after)}/s after it; ${partitions} lanes`,
    },
    ...parts.map(({ part, micros }) => ({ name: `classifier, ${part}`, value: micros, unit: 'µs a step' })),
    {
      name: "classifier, the ledger's share of its time",
      value: (100 * ofLedger) / (1e6 / rate),
      unit: '%',
      target: { atMost: 25 },
    },
    {
      name: 'classifier, Kafka, engine and waiting',
      value: 1e6 / rate - known,
      unit: 'µs a step',
      note: `what is left of ${(1e6 / rate).toFixed(1)} µs a step`,
    },
  ]
}

/** Median µs of each part of the work on one step, measured alone in this process. */
async function partsOfAStep(stack: BenchStack): Promise<{ part: string; micros: number }[]> {
  const { codec, redis, namespace } = stack
  const compiled = parsePolicy(benchPolicy('http://127.0.0.1:1', 8), 'bench').policy
  const policy = { hash: stack.policyHash, policy: compiled, trained: null }
  const steps = Array.from({ length: 2_000 }, () => makeStep(stepBytes))
  const values = steps.map((step) => codec.encode('step', step))
  const requests = steps.map((step) => validateStep(step, compiled).request)
  const nowMs = Date.now()
  const facts = steps.map((step, i) => extractFacts(step, requests[i]!, [], nowMs))
  const snapshot = noLedger(nowMs)
  const origin = { topic: 'agent.steps', partition: 0, offset: 0, receivedAtMs: nowMs }
  const hashes = values.map((value) => sha256(value))
  const partsNamespace = inNamespace(namespace, 'parts')
  await openLedger(createLedgerState({ redis, namespace: partsNamespace }), [benchTenant])
  const claims = createClaims({ redis, namespace: partsNamespace })
  const chain = createChain({ topic: 'agent.audit', encode: (link) => codec.encode('audit-record', link) })
  const scoreStep = createScoreStep({ fetch: createHttpFetch(), env: {} })
  const handle = async (i: number) =>
    decideStep(
      {
        codec,
        namespace,
        keys: null,
        resultsTopic: () => inNamespace(namespace, 'agent.results'),
        scoreStep,
        budgets: unasked,
        ledgerLagMs: () => null,
        unreachableModels: () => [],
        nowMs: Date.now,
        decided: () => {},
        scored: () => {},
      },
      {
        step: steps[i]!,
        open: { request: requests[i]!, stripped: [], text: steps[i]!.request },
        origin,
        contentHash: hashes[i]!,
        attempts: [],
      },
      policy,
    )
  const drafts = await Promise.all(steps.map(async (_step, i) => (await handle(i)).audit!))
  const decisionMicros = await each(steps.length, (i) => void decide(facts[i]!, snapshot, compiled))
  const factsMicros = await each(steps.length, (i) => void extractFacts(steps[i]!, requests[i]!, [], nowMs))
  return [
    {
      part: 'decode',
      micros: await each(steps.length, async (i) => parseStep({ value: values[i]!, headers: {} }, codec)),
    },
    { part: 'validate', micros: await each(steps.length, (i) => void validateStep(steps[i]!, compiled)) },
    { part: 'hash', micros: await each(steps.length, (i) => void sha256(values[i]!)) },
    {
      part: 'claim (256 at once, Redis included)',
      micros: await claimTogether(
        claims,
        steps.map((step) => step.stepId),
      ),
    },
    { part: ledgerPart, micros: await askLedger(createBudgets({ redis, namespace: partsNamespace }), steps.length) },
    { part: 'features and score', micros: factsMicros },
    { part: 'decide', micros: decisionMicros },
    {
      part: 'encode routed step and decision',
      micros: (await each(steps.length, handle)) - decisionMicros - factsMicros,
    },
    {
      part: 'audit link',
      micros: await each(steps.length, (i) => void chain.seal('bench/agent.steps/0', null, drafts[i]!)),
    },
  ]
}

const nothing = { capMicroUsd: null, settledMicroUsd: 0, reservedMicroUsd: 0 }
const nothingKnown: Standing = { task: nothing, day: nothing, taskSteps: 0, heldMicroUsd: 0, failuresPpm: {} }

/** A ledger that costs nothing, to measure what is around it. */
const unasked: Budgets = {
  read: () => Promise.resolve(nothingKnown),
  reserve: (_step, _bound, _caps, heldSinceMs) => Promise.resolve({ state: 'held', heldSinceMs }),
}

const ledgerPart = 'ledger (256 at once, one in five reserves; Redis included)'

/** µs a step, of many that are decided at the same moment. */
async function askLedger(budgets: Budgets, count: number): Promise<number> {
  const caps = { taskMicroUsd: 1_000_000, dayMicroUsd: null }
  const startedAtMs = performance.now()
  for (let from = 0; from < count; from += 256)
    await Promise.all(
      Array.from({ length: Math.min(256, count - from) }, async (_none, index) => {
        const n = from + index
        const step = { tenantId: benchTenant, taskId: `t-${n >> 2}`, origin: `agent.steps/0/${n}`, attempt: 1 }
        const subjects = { taskId: step.taskId, kind: 'classification', models: [benchModel], tools: [] }
        await budgets.read(step, caps, subjects, Date.now())
        if (n % 5 === 0) await budgets.reserve(step, 100, caps, Date.now())
      }),
    )
  return ((performance.now() - startedAtMs) * 1_000) / count
}

/** Median of five rounds over all items, µs an item. */
async function each(count: number, work: (i: number) => unknown): Promise<number> {
  const rounds: number[] = []
  for (let round = 0; round < 5; round++) {
    const startedAtMs = performance.now()
    for (let i = 0; i < count; i++) {
      const pending = work(i)
      if (pending instanceof Promise) await pending
    }
    rounds.push(((performance.now() - startedAtMs) * 1_000) / count)
  }
  return rounds.toSorted((a, b) => a - b)[2]!
}

async function claimTogether(claims: ReturnType<typeof createClaims>, stepIds: string[]): Promise<number> {
  const startedAtMs = performance.now()
  for (let at = 0; at < stepIds.length; at += 256)
    await Promise.all(
      stepIds
        .slice(at, at + 256)
        .map((stepId) =>
          claims.claim({ tenantId: benchTenant, stepId, origin: `agent.steps/0/${at}`, contentHash: 'aa' }, 60_000),
        ),
    )
  return ((performance.now() - startedAtMs) * 1_000) / stepIds.length
}
