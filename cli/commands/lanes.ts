import { listLanes } from '#lib/client/list-lanes'
import { connectionOf, type AddCommand } from '../context.ts'
import { formatTable, writeJson, writeLines } from '../output.ts'
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
}
