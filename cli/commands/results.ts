import { latencyMs, resultLine } from '#lib/client/result-line'
import { readResults } from '#lib/client/read-results'
import type { StepResult } from '#lib/events/types.generated'
import { connect, type AddCommand } from '../context.ts'
import { duration } from '../options.ts'
import { formatDuration, formatTime, formatUsd, printable } from '../output.ts'

interface ResultsFlags {
  follow?: true
  task?: string
  tenant?: string
  since?: number
  json?: true
}

export const addResultsCommand: AddCommand = (program, run) => {
  program
    .command('results')
    .description('results of steps, a line each')
    .option('--follow', 'go on as they come, until Ctrl-C')
    .option('--task <id>', 'of one task')
    .option('--tenant <id>', 'of one tenant')
    .option('--since <duration>', 'not older than this (default: all that is kept)', duration)
    .option('--json', 'each as a line of JSON, with its answer')
    .action(
      run(async (context, flags: ResultsFlags) => {
        const { config, ...deps } = await connect(context)
        await readResults(deps, {
          namespace: config.namespace,
          follow: flags.follow === true,
          signal: context.signal,
          ...(flags.since !== undefined && { sinceMs: Date.now() - flags.since }),
          onResult: (result) => {
            if (flags.task !== undefined && result.taskId !== flags.task) return
            if (flags.tenant !== undefined && result.tenantId !== flags.tenant) return
            const line = flags.json ? JSON.stringify(resultLine(result)) : printable(describeResult(result))
            context.stdout.write(`${line}\n`)
          },
        })
      }),
    )
}

/** One line for a person. */
export function describeResult(result: StepResult): string {
  const { status, code, tier, model, standIn, reasons, costMicroUsd, attempts } = result
  return [
    formatTime(result.finishedAtMs),
    `${result.taskId}/${result.stepId}`,
    code === null ? status : `${status} (${code})`,
    tier === null ? 'no model' : `${tier} ${model}${standIn ? ' (stand-in)' : ''}`,
    reasons.length === 0 ? '-' : reasons.join(','),
    `${attempts.length} attempt${attempts.length === 1 ? '' : 's'}`,
    formatUsd(costMicroUsd),
    formatDuration(latencyMs(result)),
  ].join('  ')
}
