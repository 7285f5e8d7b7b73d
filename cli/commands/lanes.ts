import { listLanes } from '#lib/client/list-lanes'
import { createChain } from '#lib/audit/chain'
import { inNamespace } from '#lib/events/topics'
import { recoverLanes } from '#lib/stream/recover-lanes'
import { actorOf, connect, connectionOf, type AddCommand } from '../context.ts'
import { formatTable, plural, writeJson, writeLines } from '../output.ts'
import { exitCodes } from '../report-error.ts'

const orDash = (value: number | null): string => value?.toString() ?? '-'

export const addLanesCommand: AddCommand = (program, run) => {
  const lanes = program.command('lanes').description('lanes: one for each partition that a service reads')
  lanes
    .command('list')
    .description('what is committed of every lane; exit 1 when one cannot open')
    .option('--json', 'print them as JSON')
    .action(
      run(async (context, options: { json?: true }) => {
        const { config, ...deps } = connectionOf(context)
        const listed = await listLanes(deps, config.namespace)
        if (options.json) writeJson(context, listed)
        else
          writeLines(
            context,
            formatTable(
              [
                { title: 'group', value: (lane) => lane.group },
                { title: 'topic', value: (lane) => lane.topic },
                { title: 'partition', align: 'right', value: (lane) => String(lane.partition) },
                { title: 'committed', align: 'right', value: (lane) => orDash(lane.committed) },
                { title: 'incomplete', align: 'right', value: (lane) => orDash(lane.incomplete) },
                { title: 'lag', align: 'right', value: (lane) => orDash(lane.lag) },
                { title: 'epoch', align: 'right', value: (lane) => orDash(lane.epoch) },
                { title: 'seq', align: 'right', value: (lane) => orDash(lane.seq) },
                { title: 'state', value: (lane) => lane.state },
              ],
              listed,
            ),
          )
        return listed.every(({ state }) => state === 'ok') ? exitCodes.ok : exitCodes.failed
      }),
    )
  lanes
    .command('recover')
    .description(
      'rebuild the offsets of lanes that lost them (SHUNT_OFFSETS_LOST) from agent.audit and the dead letters',
    )
    .option('--reason <text>', "why; goes into each lane's audit chain", 'offsets were lost')
    .option('--json', 'print them as JSON')
    .action(
      run(async (context, options: { reason: string; json?: true }) => {
        const { config, kafka, codec, log } = await connect(context)
        const journal = createChain({
          encode: (link) => codec.encode('audit-record', link),
          topic: inNamespace(config.namespace, 'agent.audit'),
        })
        const recovered = await recoverLanes(
          { kafka, codec, journal, nowMs: Date.now, log },
          { namespace: config.namespace, reason: `${actorOf(context)}: ${options.reason}` },
        )
        if (options.json) return writeJson(context, recovered)
        writeLines(context, [
          ...recovered.map(
            ({ group, topic, partition, low, incomplete, epoch }) =>
              `recovered ${group}/${topic}/${partition} at ${low}, ${incomplete} incomplete above, epoch ${epoch}`,
          ),
          recovered.length === 0 ? 'no lane has lost its offset' : `${plural(recovered.length, 'lane')} recovered`,
        ])
      }),
    )
}
