import { Redis } from 'ioredis'
import { createResultsTopic } from '#lib/events/results-topic'
import { createProviderLimits } from '#lib/ledger/provider-limits'
import { createBudgets } from '#lib/ledger/budgets'
import { createLedgerState } from '#lib/ledger/ledger-state'
import { createRecordedAnswers } from '#lib/ledger/recorded-answers'
import { tellUnreachable } from '#lib/ledger/provider-states'
import { createStoredAnswers } from '#lib/ledger/stored-answers'
import { openServiceKeys } from '#lib/service/data-keys'
import { runService } from '#lib/service/run-service'
import { createStage } from '#lib/stream/stage'
import { stageSources } from '#lib/stream/stage-groups'
import { describeError } from '#lib/telemetry/logger'
import { createStepLog } from '#lib/telemetry/step-log'
import { createAttemptMetrics } from '#lib/telemetry/step-metrics'
import { createSchemaProcess } from '#lib/verification/schema-process'
import { createVerifier } from '#lib/verification/verifier'
import { createHoldCalls } from '#lib/worker/hold-calls'
import { createHandleRouted } from '#lib/worker/handle-routed-step'
import { createRejectRouted } from '#lib/worker/reject-record'
import { readStageSettings } from '#lib/worker/stage-settings'
import { callFrontierDefaults, createCallFrontier, createRecall } from './call-frontier.ts'
import { modelQueueDefaults, openModelQueue } from './model-queue.ts'
import { createModelQueues, unreachableModels } from './model-queues.ts'
import { createProviderMetrics } from './provider-metrics.ts'
import { createQueueMetrics } from './queue-metrics.ts'
import { openRecordedAnswer } from './stored-texts.ts'
import { createWithdraw } from './withdraw.ts'

/** What calls for other replicas' steps get at a stop, after this one's own have drained. */
const queueGraceMs = 3_000

await runService(
  'frontier',
  async ({ config, log, redis, codec, policies, orders, registry, stage, checks, closing }) => {
    const { namespace, replica } = config
    const settings = readStageSettings(process.env, { maxInFlight: 512, commitIntervalMs: 20 })
    const workerRedis = closing.adopt(new Redis(config.redisUrl, { maxRetriesPerRequest: null }), (client) =>
      client.disconnect(),
    )
    workerRedis.on('error', (error: Error) => log.warn({ err: describeError(error) }, 'Redis'))

    const keys = await openServiceKeys({ config, policies, checks })
    const answers = createStoredAnswers({ redis, namespace })
    const batchSharePpm = () => policies.inForce()?.policy.lanes.batchSharePpm ?? 200_000
    const interactiveReservePpm = () => policies.inForce()?.policy.lanes.interactiveReservePpm ?? 100_000
    // A replay is counted with the namespace that it replays: the provider knows one account.
    const limitsNamespace = process.env['SHUNT_LIMITS_NAMESPACE'] ?? namespace
    const limits = createProviderLimits({ redis, namespace: limitsNamespace })
    const metrics = createProviderMetrics(registry)
    const clocks = { nowMs: Date.now, monotonicMs: () => performance.now(), random: Math.random }
    const shares = { batchSharePpm, interactiveReservePpm }
    const holdCalls = createHoldCalls({ budgets: createBudgets({ redis, namespace }), policies })
    const queueDeps = {
      answers,
      keys,
      limits,
      policies,
      orders,
      holdCalls,
      ledgerStands: createLedgerState({ redis, namespace }).stands,
      metrics,
      isGuest: limitsNamespace !== namespace,
      redis,
      workerRedis,
      log,
      ...shares,
      ...clocks,
    }
    const queues = createModelQueues({
      open: (spec) => openModelQueue(queueDeps, spec, { ...modelQueueDefaults, namespace }),
      env: process.env,
      recorded: { read: createRecordedAnswers({ redis, namespace }).read, open: openRecordedAnswer(keys) },
      log,
    })
    createQueueMetrics(registry, queues)
    closing.use(
      tellUnreachable({ redis, namespace, replica, log, nowMs: Date.now }, () => unreachableModels(queues.all())),
    )
    closing.defer(() => queues.closeAll(queueGraceMs))
    policies.onChange(({ policy }) => queues.apply(policy))

    const schemas = closing.adopt(createSchemaProcess({ log, nowMs: Date.now }), (each) => each.close())

    const resultsTopic = createResultsTopic(policies, namespace)
    const deps = { codec, namespace, keys, resultsTopic, stepLog: createStepLog(log), nowMs: Date.now }
    const calls = { queues, answers, keys, holdCalls, nowMs: Date.now }
    return createStage(stage, {
      ...stageSources(namespace, 'frontier'),
      ...settings,
      replica,
      handle: createHandleRouted({
        ...deps,
        policies,
        metrics: createAttemptMetrics(registry),
        recall: createRecall(calls),
        withdraw: createWithdraw(calls, callFrontierDefaults),
        orders,
        callModel: createCallFrontier(calls),
        verifier: createVerifier(schemas),
      }),
      reject: createRejectRouted(deps),
      ...shares,
      drainMs: config.shutdownGraceMs,
    })
  },
)
