import { createResultsTopic } from '#lib/events/results-topic'
import { createBudgets } from '#lib/ledger/budgets'
import { createClaims } from '#lib/ledger/claims'
import { followLedgerLag } from '#lib/ledger/ledger-lag'
import { followUnreachable } from '#lib/ledger/provider-states'
import { readTrainedScorer } from '#lib/policy/scorer-file'
import { openServiceKeys } from '#lib/service/data-keys'
import { runService } from '#lib/service/run-service'
import { createStage } from '#lib/stream/stage'
import { stageSources } from '#lib/stream/stage-groups'
import { createHttpFetch } from '#lib/models/http-fetch'
import { createScoreStep } from '#lib/scoring/score-step'
import { createScoreMetrics } from '#lib/telemetry/score-metrics'
import { createScorerDrift } from '#lib/telemetry/scorer-drift'
import { createStepLog } from '#lib/telemetry/step-log'
import { createDecisionMetrics } from '#lib/telemetry/step-metrics'
import { createFairKey } from './fair-key.ts'
import { createHandle, type HandleDeps } from './handle-record.ts'
import { createReject, type ClassifierRejectDeps } from './reject-record.ts'

await runService(
  'classifier',
  async ({ config, log, redis, codec, policies, orders, registry, stage, checks, closing }) => {
    const { namespace, replica } = config
    const metrics = createDecisionMetrics(registry)
    const stepLog = createStepLog(log)
    const unreachable = closing.use(followUnreachable({ redis, namespace, log, nowMs: Date.now }))
    const lag = closing.use(followLedgerLag({ redis, namespace, log, nowMs: Date.now }))
    const deps: HandleDeps & ClassifierRejectDeps = {
      codec,
      namespace,
      keys: await openServiceKeys({ config, policies, checks }),
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
    return createStage(stage, {
      ...stageSources(namespace, 'classifier'),
      replica,
      handle: createHandle(deps),
      reject: createReject(deps),
      // Deciding waits for Redis alone, and claims that wait together go together.
      maxInFlight: 1_024,
      batchSharePpm: () => policies.inForce()?.policy.lanes.batchSharePpm ?? 200_000,
      interactiveReservePpm: () => policies.inForce()?.policy.lanes.interactiveReservePpm ?? 100_000,
      fairKey: createFairKey(deps),
      drainMs: config.shutdownGraceMs,
    })
  },
  { readScorer: readTrainedScorer },
)
