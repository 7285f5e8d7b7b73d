import { isBehind } from '#lib/ledger/behind'
import { setCap } from '#lib/ledger/caps'
import { createFold } from '#lib/ledger/fold'
import { tellLedgerLag } from '#lib/ledger/ledger-lag'
import { createLedgerState } from '#lib/ledger/ledger-state'
import { createProviderLimits } from '#lib/ledger/provider-limits'
import { rebuildLedger } from '#lib/ledger/rebuild'
import { runService } from '#lib/service/run-service'
import { createStage } from '#lib/stream/stage'
import { stageSources } from '#lib/stream/stage-groups'
import { createLedgerMetrics } from '#lib/telemetry/ledger-metrics'
import { openWindows } from './open-windows.ts'
import { createLedgerHandle } from './handle-record.ts'
import { keepLedger } from './keep-ledger.ts'
import { createLedgerReject } from './reject-record.ts'

await runService(
  'ledger',
  async ({ config, log, kafka, redis, codec, policies, registry, stage, checks, closing, stop }) => {
    const { namespace, replica } = config
    const state = createLedgerState({ redis, namespace })
    const metrics = createLedgerMetrics(registry)
    const keeper = closing.use(
      keepLedger({
        state,
        log,
        tenantIds: () => (policies.inForce() ? policies.tenantIds() : undefined),
        isBehind: () => isBehind({ kafka, state, log }, namespace),
        rebuild: () =>
          rebuildLedger(
            { redis, kafka, codec, state, log, nowMs: Date.now },
            {
              namespace,
              tenantIds: policies.tenantIds(),
              dedupeWindowMs: policies.inForce()!.policy.limits.dedupeWindowMs,
              onEmpty: () => openWindows(createProviderLimits({ redis, namespace }), policies.inForce()!.policy),
              onProgress: metrics.rebuilding,
              signal: stop,
            },
          ),
      }),
    )
    checks.push(() => (keeper.stands() ? null : 'SHUNT_LEDGER_LOST: the ledger is being rebuilt'))
    policies.onChange(() => keeper.look())
    redis.on('ready', () => keeper.doubt())

    let foldedAtMs = 0
    const ledger = createStage(stage, {
      ...stageSources(namespace, 'ledger'),
      replica,
      handle: createLedgerHandle({
        codec,
        namespace,
        fold: createFold({ redis, namespace }),
        state,
        setCap: (order) => setCap({ redis, namespace }, order),
        folded: ({ timestampMs }) => void (foldedAtMs = Math.max(foldedAtMs, timestampMs)),
        overSettled: (record) => {
          metrics.overSettled(record)
          log.error(record, 'an attempt cost more than was reserved for it')
        },
        unreadable: ({ topic, partition, offset }, err) =>
          log.error({ topic, partition, offset, err }, 'a record cannot be folded'),
      }),
      reject: createLedgerReject({ namespace, state, nowMs: Date.now }),
      // Of one partition one by one, in the order of the log: each record counts once by its offset.
      orderKey: () => 'fold',
      drainMs: config.shutdownGraceMs,
    })
    const lagMs = () => (ledger.status().lag === 0 || foldedAtMs === 0 ? 0 : Math.max(0, Date.now() - foldedAtMs))
    closing.use(tellLedgerLag({ redis, namespace, replica, log, nowMs: Date.now }, lagMs))
    return ledger
  },
)
