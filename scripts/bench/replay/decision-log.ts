import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import type { Producer } from 'kafkajs'
import { createChain } from '#lib/audit/chain'
import { attemptDraft, decisionDraft, outcomeDraft, sha256 } from '#lib/audit/records'
import type { Codec } from '#lib/events/codec'
import { buildStepResult } from '#lib/events/step-result'
import type {
  AgentStep,
  Attempt,
  DecisionOutcome,
  LedgerSnapshot,
  StepFacts,
  StepOrigin,
} from '#lib/events/types.generated'
import { seededRandom, type Random } from '#lib/calibration/seeded-random'
import { activatePolicy } from '#lib/policy/activate'
import type { LoadedPolicy } from '#lib/policy/load'
import { readScorerFile, readTrainedScorer } from '#lib/policy/scorer-file'
import { decide, engineVersion } from '#lib/routing/decide'
import { extractFeatures } from '#lib/routing/features'
import { factsOf } from '#lib/routing/facts'
import { noLedger } from '#lib/routing/no-ledger'
import { scoreWith } from '#lib/routing/scoring'
import type { AuditDraft } from '#lib/stream/types'
import type { BenchStack } from '../spine/bench-stack.ts'
import { makeRoutedStep } from '../spine/load.ts'
import { sampledPolicies, sampledSteps } from './sampled-steps.ts'

export const partitions = 4

/** Where the records of the first so many decisions end. */
export interface LogEnd {
  decisions: number
  /** By partition of agent.audit. */
  offsets: ReadonlyMap<number, number>
  /** Between the last of them and the first of the others, epoch ms. */
  atMs: number
}

export interface DecisionLog {
  /** Steps' own records are in agent.steps for decisions up to here. */
  withTexts: LogEnd
  short: LogEnd
  whole: LogEnd
}

export const logSizes = { withTexts: 100_000, short: 200_000, whole: 1_000_000 }
/** Facts of later decisions are those of earlier ones, varied: texts are read for the first ones alone. */
const chunk = 5_000

/**
 * A log as services write it, without running them: decisions by the engine on facts of real requests, three policies, and
 * snapshots that vary, sealed into chains, with an attempt and an outcome for each step. Written once for all parts.
 */
export async function writeDecisionLog(stack: BenchStack): Promise<DecisionLog> {
  const { codec, topic } = stack
  const policies = sampledPolicies()
  for (const policy of policies)
    await activatePolicy({ ...stack, nowMs: Date.now }, policy, {
      namespace: stack.namespace,
      actor: 'bench',
      reason: 'a benchmark',
      scorer: readScorerFile(),
    })
  const makeDecision = await decisions(codec, policies, topic('agent.steps'))
  const chain = createChain({ encode: (link) => codec.encode('audit-record', link), topic: topic('agent.audit') })
  const heads = new Map<string, string>()
  const seal = (lane: string, drafts: AuditDraft[]) => {
    const { records, head } = chain.seal(lane, heads.get(lane) ?? null, drafts)
    heads.set(lane, head)
    return records
  }

  const admin = stack.kafka('bench-log').admin()
  const producer = stack.kafka('bench-log').producer({ allowAutoTopicCreation: false })
  await Promise.all([admin.connect(), producer.connect()])
  const ends: LogEnd[] = []
  let sending: Promise<void> = Promise.resolve()
  try {
    for (let n = 0; n < logSizes.whole; n += chunk) {
      const made = Array.from({ length: chunk }, (_, i) => makeDecision(n + i))
      const values = Array.from({ length: partitions }, (_, partition) => {
        const here = made.filter(({ origin }) => origin.partition === partition)
        return [
          ...seal(
            `classifier/agent.steps/${partition}`,
            here.map((one) => decisionDraft(codec, one.record)),
          ),
          ...seal(
            `oss-pool/agent.steps.oss/${partition}`,
            here.flatMap((one) => endsOf(codec, one)),
          ),
        ]
      }).flat()
      await sending
      for (const size of Object.values(logSizes)) if (size === n) ends.push(await endNow(n))
      if (n < logSizes.withTexts)
        await send(
          producer,
          topic('agent.steps'),
          made.map(({ step, origin }) => ({
            key: step.taskId,
            value: codec.encode('step', step),
            partition: origin.partition,
            timestamp: String(origin.receivedAtMs),
          })),
        )
      sending = send(producer, topic('agent.audit'), values)
      sending.catch(() => {})
      await nextTurn()
    }
    await sending
    ends.push(await endNow(logSizes.whole))
  } finally {
    await Promise.all([admin.disconnect(), producer.disconnect()])
  }
  const [withTexts, short, whole] = ends as [LogEnd, LogEnd, LogEnd]
  return { withTexts, short, whole }

  async function endNow(count: number): Promise<LogEnd> {
    const offsets = await admin.fetchTopicOffsets(topic('agent.audit'))
    await sleep(2)
    const atMs = Date.now()
    await sleep(2)
    return { decisions: count, atMs, offsets: new Map(offsets.map(({ partition, high }) => [partition, Number(high)])) }
  }
}

async function send(
  producer: Producer,
  topic: string,
  records: readonly { key: string | Buffer; value: Buffer | null; partition?: number; timestamp?: string }[],
): Promise<void> {
  for (let at = 0; at < records.length; at += 1_000)
    await producer.send({ topic, messages: records.slice(at, at + 1_000) })
}

type Made = Awaited<ReturnType<typeof decisions>> extends (n: number) => infer T ? T : never

async function decisions(codec: Pick<Codec, 'encode'>, policies: readonly LoadedPolicy[], stepsTopic: string) {
  const stepOf = await sampledSteps()
  const random = seededRandom(6)
  const shipped = readScorerFile()
  const { scorer } = readTrainedScorer(shipped.bytes, shipped.hash)
  const startMs = Date.now() - logSizes.whole
  const read: { step: AgentStep; facts: StepFacts; troubledTools: string[] }[] = []

  return (n: number) => {
    const origin = {
      topic: stepsTopic,
      partition: n % partitions,
      offset: Math.floor(n / partitions),
      receivedAtMs: startMs + n,
    }
    const { step, facts, troubledTools } = n < logSizes.withTexts ? readText(n, origin) : varied(n, origin)
    const policy = policies[Math.floor((n * policies.length) / logSizes.whole)]!
    const snapshot = anySnapshot(random, origin.receivedAtMs + 20, facts)
    const outcome = decide(facts, snapshot, policy.policy)
    const record = {
      stepId: step.stepId,
      taskId: step.taskId,
      origin,
      contentHash: sha256(codec.encode('step', step)),
      attempt: 1,
      engineVersion,
      policyHash: Buffer.from(policy.hash, 'hex'),
      scorerHash: Buffer.from(shipped.hash, 'hex'),
      facts,
      snapshot,
      outcome,
      reservedAtMs: outcome.boundMicroUsd > 0 ? snapshot.nowMs : 0,
      taskCapMicroUsd: facts.taskBudgetMicroUsd,
      reservationRounds: outcome.boundMicroUsd > 0 ? 1 : 0,
      budgetWaitMs: 0,
      troubledTools,
    }
    return { step, origin, record }
  }

  function readText(n: number, origin: StepOrigin) {
    const { step, request } = stepOf(n)
    const features = extractFeatures(step, request)
    const facts = factsOf(step, request, [], origin.receivedAtMs, features, scoreWith(scorer, features, request))
    const found = { step, facts, troubledTools: [...features.trace.troubledTools] }
    if (read.length < 10 * chunk) read.push(found)
    return found
  }

  function varied(n: number, { receivedAtMs }: StepOrigin) {
    const { step, facts, troubledTools } = read[n % read.length]!
    const pSuccessPpm = Math.floor(random() * 1_000_000)
    const traceTroublePpm = random() < 0.1 ? Math.floor(random() * 1_000_000) : 0
    return {
      step: { ...step, stepId: `${step.stepId}-${n}`, taskId: `${step.taskId}-${n}` },
      facts: { ...facts, receivedAtMs, pSuccessPpm, traceTroublePpm },
      troubledTools,
    }
  }
}

function anySnapshot(random: Random, nowMs: number, { taskBudgetMicroUsd, kind }: StepFacts): LedgerSnapshot {
  const left = taskBudgetMicroUsd === null ? null : Math.floor(random() * taskBudgetMicroUsd)
  const failures = random() < 0.3 ? { task: Math.floor(random() * 400_000), [`kind:${kind}`]: 20_000 } : {}
  return {
    ...noLedger(nowMs),
    budgetLeftMicroUsd: left ?? Math.floor(random() * 5_000_000),
    taskLeftMicroUsd: left,
    failuresPpm: failures,
    ledgerLagMs: Math.floor(random() * 50),
    taskSteps: Math.floor(random() * 10),
  }
}

/** What a worker writes of a step that it ended; nothing for one that went to no model. */
function endsOf(codec: Pick<Codec, 'encode'>, { step, origin, record }: Made): AuditDraft[] {
  const { outcome, snapshot } = record
  if (outcome.action !== 'route') return [outcomeDraft(codec, resultOf(step, origin, outcome, [], snapshot.nowMs))]
  const attempt: Attempt = {
    attempt: 1,
    callNo: 1,
    tier: outcome.tier!,
    model: outcome.model!,
    backend: 'embedded',
    region: 'local',
    verdict: 'ok',
    detail: null,
    startedAtMs: snapshot.nowMs + 3,
    endedAtMs: snapshot.nowMs + 250,
    promptTokens: record.facts.promptTokens,
    completionTokens: 12,
    costMicroUsd: Math.floor(outcome.boundMicroUsd / 3),
    outcomeUnknown: false,
    standIn: false,
    confidencePpm: 910_000,
    answer: null,
    answerTruncated: false,
  }
  const { decision } = makeRoutedStep(step, '', snapshot.nowMs)
  const { boundMicroUsd } = outcome
  const routed = { step, origin, decision: { ...decision, boundMicroUsd, reservedAtMs: record.reservedAtMs } }
  return [
    attemptDraft(codec, routed, attempt, { answer: 'an answer', tools: [], ends: true }),
    outcomeDraft(codec, resultOf(step, origin, outcome, [attempt], attempt.endedAtMs)),
  ]
}

function resultOf(
  step: AgentStep,
  origin: StepOrigin,
  outcome: DecisionOutcome,
  attempts: Attempt[],
  finishedAtMs: number,
) {
  const status = outcome.action === 'route' ? ('completed' as const) : ('refused' as const)
  return buildStepResult(step, origin, attempts, {
    status,
    code: outcome.code,
    message: null,
    answer: null,
    answeredBy: attempts[0] ?? null,
    reasons: outcome.reasons,
    policyHash: null,
    finishedAtMs,
  })
}
