import { listLanes, type ListedLane } from '#lib/client/list-lanes'
import { connectionOf, type AddCommand } from '../context.ts'
import { formatTable, plural, writeJson, writeLines } from '../output.ts'
import { exitCodes, messageOf } from '../report-error.ts'
import { localStackStatus, type PartStatus } from '../stack/local-stack.ts'
import { shuntDir } from '../stack/paths.ts'

export const addStatusCommand: AddCommand = (program, run) => {
  program
    .command('status')
    .description('what runs of the local stack, and how far the lanes are; exit 1 when something is wrong')
    .option('--json', 'print it as JSON')
    .action(
      run(async (context, flags: { json?: true }) => {
        const { config, ...deps } = connectionOf(context)
        const parts = await localStackStatus(shuntDir)
        const lanes = await listLanes(deps, config.namespace).catch((error: unknown) => messageOf(error))
        const known = typeof lanes === 'string' ? [] : lanes
        if (flags.json)
          writeJson(context, {
            parts,
            brokers: config.brokers,
            ...(typeof lanes === 'string' ? { error: lanes } : { lanes }),
          })
        else
          writeLines(context, [
            ...(parts.length === 0 ? ['no local parts run: `shunt up` starts them'] : formatParts(parts)),
            '',
            `Kafka ${config.brokers.join(',')}${config.namespace === '' ? '' : `, namespace ${config.namespace}`}`,
            ...(typeof lanes === 'string' ? [lanes] : formatLag(lanes)),
          ])
        const allWell =
          typeof lanes !== 'string' &&
          known.every(({ state }) => state === 'ok') &&
          parts.every(({ answers }) => answers)
        return allWell ? exitCodes.ok : exitCodes.failed
      }),
    )
}

export function formatParts(parts: readonly PartStatus[]): string[] {
  return formatTable(
    [
      { title: 'part', value: (part) => part.id },
      { title: 'address', value: (part) => part.address },
      { title: 'pid', align: 'right', value: (part) => String(part.process.pid) },
      { title: 'state', value: (part) => (part.answers ? 'answers' : 'does not answer') },
      { title: 'log', value: (part) => part.logFile },
    ],
    parts,
  )
}

/** One line a group and topic; `shunt lanes list` has each partition. */
function formatLag(lanes: readonly ListedLane[]): string[] {
  return formatTable(
    [
      { title: 'group', value: ([first]) => first.group },
      { title: 'topic', value: ([first]) => first.topic },
      { title: 'lanes', align: 'right', value: (of) => String(of.length) },
      { title: 'lag', align: 'right', value: (of) => sum(of, 'lag') },
      { title: 'incomplete', align: 'right', value: (of) => sum(of, 'incomplete') },
      {
        title: 'state',
        value: (of) => {
          const broken = of.filter(({ state }) => state !== 'ok').length
          return broken === 0 ? 'ok' : `${plural(broken, 'lane')} cannot open`
        },
      },
    ],
    [...Map.groupBy(lanes, ({ group, topic }) => `${group}/${topic}`).values()] as [ListedLane, ...ListedLane[]][],
  )
}

function sum(lanes: readonly ListedLane[], field: 'lag' | 'incomplete'): string {
  return String(lanes.reduce((total, lane) => total + (lane[field] ?? 0), 0))
}
