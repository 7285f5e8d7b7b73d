import { join } from 'node:path'
import { frontierModes } from '#lib/replay/publish/derive-policy'
import { openRecordedRun } from '#lib/replay/publish/recorded-run'
import type { ReplaySummary } from '#lib/replay/publish/summary'
import { connectRedis, type AddCommand, type CliContext } from '../context.ts'
import { oneOf, usd, wholeNumber } from '../options.ts'
import { formatUsd, plural, writeJson, writeLines } from '../output.ts'
import { createProgress } from '../progress.ts'
import { addRangeOptions } from '../range-options.ts'
import { openReplayDeps, planReplay, type PlannedReplay, type ReplayFlags } from '../replay/plan-replay.ts'
import { lockReplay } from '../replay/replay-lock.ts'
import { removeReplay } from '../replay/remove-replay.ts'
import { openReplayRoom } from '../replay/replay-services.ts'
import { runReplay } from '../replay/run-replay.ts'
import { exitCodes } from '../report-error.ts'
import { shuntDir } from '../stack/paths.ts'

export const addReplayPublishCommand: AddCommand = (replay, run) => {
  const publish = replay
    .command('publish')
    .description('run recorded steps again, through services of their own, in the namespace replay-ID')
    .requiredOption('--id <id>', 'names the replay and its namespace')
    .option('--policy <file>', 'to run under (default: the one in force)')
    .option('--scorer <dir>', "directory of the file's trained scorer (default: the one that ships)")
  addRangeOptions(publish)
    .option(
      '--frontier <mode>',
      'off, recorded (recorded answers are served; the default) or on',
      oneOf(...frontierModes),
    )
    .option('--budget <usd>', 'with --frontier on: the most that a tenant may spend in a day of the replay', usd)
    .option('--yes', 'with --frontier on: call frontier models, and be billed for it')
    .option('--in-flight <count>', 'copies under way at a time', wholeNumber(1, 100_000), 256)
    .option('--resume', 'go on with a replay that was stopped')
    .option('--cleanup', 'remove the replay when it is over')
    .option('--json', 'print what came of it as JSON')
    .addHelpText(
      'after',
      `
Nothing live is written to: steps are copied into topics of the replay, with the headers x-replay-id and x-replay-source,
and services that this command starts and stops decide and answer them there. What comes of it stays there to be looked at
(SHUNT_NAMESPACE=replay-ID shunt results), until \`shunt replay remove --id ID\`. Open models, and a scorer
behind HTTP, are called as the policy says.`,
    )
    .action(
      run(async (context, flags: ReplayFlags) => {
        // Half the memory: a record lives until it is copied.
        await import('#lib/service/small-heap')
        const deps = await openReplayDeps(context, flags.id)
        const { namespace } = deps
        using redis = connectRedis(deps.config.redisUrl)
        await using lock = await lockReplay(redis.client, namespace)
        await using room = await openReplayRoom(namespace)
        using recorded = openRecordedRun(join(room.dir, 'recorded.db'))
        let planned: PlannedReplay | undefined
        try {
          planned = await planReplay(context, deps, recorded, flags)
          if (!planned) return exitCodes.failed
          tellPlan(context, planned)
          const progress = createProgress(context, 'steps replayed')
          const summary = await runReplay(deps, planned, room, recorded, {
            maxInFlight: flags.inFlight,
            progress,
            signal: AbortSignal.any([context.signal, lock.lost]),
          }).finally(() => progress.end())
          let removed = false
          try {
            if (flags.cleanup) await removeReplay(deps, namespace)
            removed = flags.cleanup === true
          } finally {
            // It may have taken hours.
            tell(context, planned, summary, { ...flags, removed })
          }
          return exitCodes.ok
        } catch (error) {
          if (planned) tellRest(context, flags.id, namespace)
          throw error
        }
      }),
    )
}

function tellPlan({ stderr }: CliContext, { namespace, order, policy }: PlannedReplay): void {
  const from = policy.hash === order.pinnedHash ? '' : `, made of ${order.pinnedHash.slice(0, 12)}`
  stderr.write(`${namespace}: policy ${policy.hash.slice(0, 12)}${from}, frontier calls ${order.frontier}\n`)
}

function tellRest({ stderr }: CliContext, id: string, namespace: string): void {
  stderr.write(
    `its services' logs: ${join(shuntDir, 'log', namespace)}\n` +
      `${namespace} is left as it is: go on with \`shunt replay publish --id ${id} --resume\`, or remove it with \`shunt replay remove --id ${id}\`\n`,
  )
}

function tell(
  context: CliContext,
  planned: PlannedReplay,
  summary: ReplaySummary,
  { json, removed }: { json?: true; removed: boolean },
): void {
  const { namespace, order, policy } = planned
  const { id, frontier, pinnedHash } = order
  if (json)
    return writeJson(context, {
      id,
      namespace,
      policyHash: policy.hash,
      pinnedHash,
      frontier,
      removed,
      ...summary,
    })
  const { compared } = summary
  const counts = (of: Readonly<Record<string, number>>) =>
    Object.entries(of)
      .map(([name, count]) => `${count} ${name}`)
      .join(', ') || 'none'
  writeLines(context, [
    `${namespace}: ${plural(summary.copied, 'record')} copied: ${plural(summary.results, 'result')}, ` +
      `${plural(summary.duplicates, 'duplicate')}, ${plural(summary.deadLetters, 'dead letter')} without a result`,
    `results: ${counts(summary.byStatus)}`,
    `answered by: ${counts(summary.byTier)}; cost ${formatUsd(summary.costMicroUsd)}`,
    ...(summary.notRecorded > 0 ? [`${plural(summary.notRecorded, 'attempt')} found no recorded answer`] : []),
    `beside what was recorded of ${plural(compared.steps, 'step')}: ${compared.sameModel} with the same model, ` +
      `${compared.otherModel} with another, ${compared.noModel} with none in either; cost ${formatUsd(compared.costMicroUsd)}, it was ${formatUsd(compared.recordedCostMicroUsd)}`,
    `another end: ${counts(compared.statusChanges)}`,
    removed
      ? `${namespace} is removed`
      : `look at it with SHUNT_NAMESPACE=${namespace}; remove it with \`shunt replay remove --id ${id}\``,
  ])
}
