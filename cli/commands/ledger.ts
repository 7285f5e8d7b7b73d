import { ShuntError } from '#lib/errors'
import { createLedgerState } from '#lib/ledger/ledger-state'
import { rebuildLedger } from '#lib/ledger/rebuild'
import { createPolicyStore } from '#lib/policy/policy-store'
import { connect, connectRedis, type AddCommand } from '../context.ts'
import { plural, writeJson, writeLines } from '../output.ts'
import { createProgress } from '../progress.ts'

export const addLedgerCommand: AddCommand = (program, run) => {
  const ledger = program.command('ledger').description('budgets and failures: a fold of the log into Redis')
  ledger
    .command('rebuild')
    .description(
      'forget what Redis holds of budgets and failures, and fold the log anew; services wait meanwhile and go on after it',
    )
    .option('--json', 'print what was done as JSON')
    .action(
      run(async (context, { json }: { json?: true }) => {
        const { config, kafka, codec, log } = await connect(context)
        const { namespace } = config
        await using store = createPolicyStore({ kafka, codec, log }, { namespace })
        if (!(await store.ready()))
          throw new ShuntError(
            'SHUNT_POLICY_MISSING',
            'no policy is in force, so there is no tenant to keep a ledger for: run `shunt policy activate FILE`',
          )
        using redis = connectRedis(config.redisUrl)
        const progress = createProgress(context, 'records folded')
        const startedAtMs = Date.now()
        const folded = await rebuildLedger(
          {
            redis: redis.client,
            kafka,
            codec,
            state: createLedgerState({ redis: redis.client, namespace }),
            log,
            nowMs: Date.now,
          },
          {
            namespace,
            tenantIds: store.tenantIds(),
            dedupeWindowMs: store.inForce()!.policy.limits.dedupeWindowMs,
            onProgress(at) {
              progress.total(at.total)
              progress.at(at.folded)
            },
            signal: context.signal,
          },
        ).finally(() => progress.end())
        if (folded === null)
          throw new ShuntError('SHUNT_LEDGER_LOST', 'another rebuild is under way: wait for it', { retryable: true })
        const ms = Date.now() - startedAtMs
        if (json) writeJson(context, { folded, ms })
        else writeLines(context, [`the ledger stands: ${plural(folded, 'record')} folded`])
      }),
    )
}
