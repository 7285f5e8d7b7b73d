import { createResultsTopic } from '#lib/events/results-topic'
import { createBudgets } from '#lib/ledger/budgets'
import { createClaims } from '#lib/ledger/claims'
import { followLedgerLag } from '#lib/ledger/ledger-lag'
import { followUnreachable } from '#lib/ledger/provider-states'
import { createHttpFetch } from '#lib/models/http-fetch'
import { createScoreStep } from '#lib/scoring/score-step'
import { openServiceKeys } from '#lib/service/data-keys'
import type { ServiceParts } from '#lib/service/run-service'
import { createStage, type Stage } from '#lib/stream/stage'
import { stageSources } from '#lib/stream/stage-groups'
import type { Handle } from '#lib/stream/types'
import { createScoreMetrics } from '#lib/telemetry/score-metrics'
import { createScorerDrift } from '#lib/telemetry/scorer-drift'
import { createStepLog } from '#lib/telemetry/step-log'
import { createDecisionMetrics } from '#lib/telemetry/step-metrics'
import { createFairKey } from './fair-key.ts'
import type { HandleDeps } from './handle-record.ts'
import { createReject, type ClassifierRejectDeps } from './reject-record.ts'

export type ClassifierDeps = HandleDeps & ClassifierRejectDeps

/** What a classifier decides with, of the parts of its process. */
export async function createClassifierDeps(parts: ServiceParts): Promise<ClassifierDeps> {
  const { config, log, redis, codec, policies, orders, registry, closing } = parts
  const { namespace } = config
  const metrics = createDecisionMetrics(registry)
  const stepLog = createStepLog(log)
  const unreachable = closing.use(followUnreachable({ redis, namespace, log, nowMs: Date.now }))
  const lag = closing.use(followLedgerLag({ redis, namespace, log, nowMs: Date.now }))
  return {
    codec,
    namespace,
    keys: await openServiceKeys(parts),
    resultsTopic: createResultsTopic(policies, namespace),
    claims: createClaims({ redis, namespace }),
    budgets: createBudgets({ redis, namespace }),
    ledgerLagMs: lag.lagMs,
    unreachableModels: unreachable.models,
    policyInForce: policies.inForce,
    orders,
    decided: (outcome, step, attempt) => {
      metrics.decided(outcome)
      stepLog.decided(step, attempt, outcome)
    },
    stepLog,
    scoreStep: createScoreStep({ fetch: createHttpFetch(), env: process.env }),
    scored: createScoreMetrics({ registry, drift: createScorerDrift({ registry, log }) }).scored,
    nowMs: Date.now,
  }
}

export function createClassifierStage(
  { config, policies, stage }: ServiceParts,
  deps: ClassifierDeps,
  handle: Handle,
): Stage {
  return createStage(stage, {
    ...stageSources(config.namespace, 'classifier'),
    replica: config.replica,
    handle,
    reject: createReject(deps),
    // Deciding waits for Redis alone, and claims that wait together go together.
    maxInFlight: 1_024,
    batchSharePpm: () => policies.inForce()?.policy.lanes.batchSharePpm ?? 200_000,
    interactiveReservePpm: () => policies.inForce()?.policy.lanes.interactiveReservePpm ?? 100_000,
    fairKey: createFairKey(deps),
    drainMs: config.shutdownGraceMs,
  })
}
