import { createResultsTopic } from '#lib/events/results-topic'
import { createBudgets } from '#lib/ledger/budgets'
import { openServiceKeys } from '#lib/service/data-keys'
import { runService } from '#lib/service/run-service'
import { createStage } from '#lib/stream/stage'
import { stageSources } from '#lib/stream/stage-groups'
import { createStepLog } from '#lib/telemetry/step-log'
import { createAttemptMetrics } from '#lib/telemetry/step-metrics'
import { createSchemaProcess } from '#lib/verification/schema-process'
import { createVerifier } from '#lib/verification/verifier'
import { createTurns } from '#lib/worker/batch-turns'
import { tenantOfHeader } from '#lib/worker/fair-key'
import { createHoldCalls } from '#lib/worker/hold-calls'
import { createHandleRouted } from '#lib/worker/handle-routed-step'
import { createRejectRouted } from '#lib/worker/reject-record'
import { readStageSettings } from '#lib/worker/stage-settings'
import { backendSpecs } from './backend-spec.ts'
import { createCallPool } from './call-pool.ts'
import { createPool } from './pool.ts'
import { createPoolMetrics } from './pool-metrics.ts'
import { probeBackends, probeDefaults } from './probe-backends.ts'

/** How often those who wait are looked after: ejections and pauses end without a call. */
const tickMs = 100
/** Answers to batch steps that are judged and written in one turn of the event loop: one to two milliseconds' work. */
const batchAnswersPerTurn = 8

await runService(
  'oss-pool',
  async ({ config, log, redis, codec, policies, orders, registry, stage, checks, closing }) => {
    const { namespace, replica } = config
    const { maxInFlight, commitIntervalMs } = readStageSettings(process.env, { maxInFlight: 512, commitIntervalMs: 20 })
    const batchSharePpm = () => policies.inForce()?.policy.lanes.batchSharePpm ?? 200_000
    const interactiveReservePpm = () => policies.inForce()?.policy.lanes.interactiveReservePpm ?? 100_000
    const pool = createPool({ nowMs: Date.now, batchSharePpm, interactiveReservePpm })
    createPoolMetrics(registry, pool)

    policies.onChange(({ hash, policy }) => {
      pool.apply(backendSpecs(policy, process.env))
      log.info({ policy: hash, backends: pool.backends().map((backend) => backend.id) }, 'backends of the policy')
    })
    const ticker = setInterval(() => pool.tick(), tickMs)
    const ended = new AbortController()
    const probing = probeBackends({ pool, log }, probeDefaults, ended.signal)
    // Steps under way at a stop still need the pool: it ends after the stage has drained.
    closing.defer(async () => {
      clearInterval(ticker)
      ended.abort()
      await probing
    })

    const schemas = closing.adopt(createSchemaProcess({ log, nowMs: Date.now }), (each) => each.close())
    const deps = {
      codec,
      namespace,
      keys: await openServiceKeys({ config, policies, checks }),
      resultsTopic: createResultsTopic(policies, namespace),
      nextTurn: createTurns(batchAnswersPerTurn),
      stepLog: createStepLog(log),
      nowMs: Date.now,
    }
    const holdCalls = createHoldCalls({ budgets: createBudgets({ redis, namespace }), policies })
    const callModel = createCallPool({ pool, holdCalls, nowMs: Date.now, random: Math.random })
    const verifier = createVerifier(schemas)
    const metrics = createAttemptMetrics(registry)
    return createStage(stage, {
      ...stageSources(namespace, 'oss-pool'),
      replica,
      handle: createHandleRouted({ ...deps, policies, orders, metrics, callModel, verifier }),
      reject: createRejectRouted(deps),
      maxInFlight,
      commitIntervalMs,
      batchSharePpm,
      interactiveReservePpm,
      fairKey: tenantOfHeader,
      drainMs: config.shutdownGraceMs,
    })
  },
)
