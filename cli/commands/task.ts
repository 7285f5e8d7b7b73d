import { resultLine } from '#lib/client/result-line'
import { readTaskTimeline } from '#lib/client/task-timeline'
import { ShuntError } from '#lib/errors'
import { connect, type AddCommand } from '../context.ts'
import { formatTimeline } from '../format-timeline.ts'
import { duration } from '../options.ts'
import { printable, writeLines } from '../output.ts'

export const addTaskCommand: AddCommand = (program, run) => {
  program
    .command('task')
    .description("a task's timeline: decisions with their reasons, attempts, ends, cost")
    .argument('<id>', 'taskId')
    .option('--tenant <id>', 'where several tenants have a task of this id')
    .option('--since <duration>', 'look no further back (default: all that is kept)', duration)
    .option('--json', 'print it as JSON')
    .action(
      run(async (context, taskId: string, flags: { tenant?: string; since?: number; json?: true }) => {
        const { config, ...deps } = await connect(context)
        const timeline = await readTaskTimeline(deps, {
          namespace: config.namespace,
          taskId,
          signal: context.signal,
          ...(flags.tenant !== undefined && { tenantId: flags.tenant }),
          ...(flags.since !== undefined && { sinceMs: Date.now() - flags.since }),
        })
        if (timeline.entries.length === 0 && timeline.results.length === 0)
          throw new ShuntError('SHUNT_EVENT_INVALID', `no record of task ${taskId}: check the id and SHUNT_NAMESPACE`)
        if (flags.json) {
          const value = { ...timeline, results: timeline.results.map(resultLine) }
          context.stdout.write(`${JSON.stringify(value, hexBuffers)}\n`)
        } else writeLines(context, formatTimeline(timeline).map(printable))
      }),
    )
}

/** Hashes as hex; JSON.stringify has called a Buffer's own toJSON by the time it asks. */
function hexBuffers(_key: string, value: unknown): unknown {
  const is = value as { type?: unknown; data?: unknown } | null
  return typeof is === 'object' && is?.type === 'Buffer' && Array.isArray(is.data)
    ? Buffer.from(is.data as number[]).toString('hex')
    : value
}
