import { createClaims } from '#lib/ledger/claims'
import { runService } from '#lib/service/run-service'
import { createStage } from '#lib/stream/stage'
import { stageSources } from '#lib/stream/stage-groups'
import { createDecisionMetrics } from '#lib/telemetry/step-metrics'
import { createHandle } from './handle-record.ts'
import { createReject } from './reject-record.ts'

await runService('classifier', async ({ config, redis, codec, policies, registry, stage }) => {
  const { namespace, replica } = config
  const deps = {
    codec,
    namespace,
    claims: createClaims({ redis, namespace }),
    policyInForce: policies.inForce,
    decided: createDecisionMetrics(registry).decided,
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
    drainMs: config.shutdownGraceMs,
  })
})
