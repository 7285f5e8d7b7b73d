import { Readable } from 'node:stream'
import { createClient } from '#lib/client/create-client'
import { publishFeedback, type FeedbackReport } from '#lib/client/publish-feedback'
import { feedbackOf, readFeedback, type FeedbackDefaults } from '#lib/client/read-feedback'
import { ShuntError } from '#lib/errors'
import { actorOf, connect, type AddCommand, type CliContext } from '../context.ts'
import { openLines } from '../label-files.ts'
import { oneOf } from '../options.ts'
import { plural, printable, writeJson } from '../output.ts'
import { createProgress } from '../progress.ts'
import { exitCodes } from '../report-error.ts'

interface FeedbackFlags {
  step?: string
  file?: string
  tenant?: string
  task?: string
  verdict?: 'right' | 'wrong'
  code?: string
  actor?: string
  strict?: true
  json?: true
}

export const addFeedbackCommand: AddCommand = (program, run) => {
  program
    .command('feedback')
    .description('say whether the answer of a step was right: what routing and calibration learn from')
    .option('--step <id>', 'stepId, for one verdict')
    .option('--file <file>', 'lines {tenantId, stepId, taskId, verdict, code?, actor?, atMs?}, or - for standard input')
    .option('--tenant <id>', 'tenant of the step, or of lines that name none')
    .option('--task <id>', 'task of the step as its result names it, or of lines that name none')
    .option('--verdict <verdict>', 'right or wrong; with --file, of lines that have none', oneOf('right', 'wrong'))
    .option('--code <code>', 'your own code for what was wrong')
    .option('--actor <name>', 'who judged (default: SHUNT_ACTOR, or your user name)')
    .option('--strict', 'exit 1 when there was a bad line')
    .option('--json', 'print the summary as JSON')
    .addHelpText(
      'after',
      '\nThe last verdict on a step counts. A bad line is named with its number and passed over.\nThe ids are in the results: shunt results --json',
    )
    .action(
      run(async (context, flags: FeedbackFlags) => {
        const lines = await linesOf(context, flags)
        const { config, ...deps } = await connect(context)
        await using open = new AsyncDisposableStack()
        const client = open.adopt(await createClient(deps, { namespace: config.namespace, results: false }), (c) =>
          c.close(),
        )
        const progress = createProgress(context, 'published')
        open.defer(() => progress.end())
        let total = 0
        const report = await publishFeedback(client, readFeedback(lines, defaultsOf(context, flags), Date.now), {
          signal: context.signal,
          onBadLine: (number, { code, message }) => progress.say(printable(`line ${number}: ${code}: ${message}`)),
          onPublished: () => {
            progress.total((total += 1))
            progress.step()
          },
          onFailed: ({ stepId }, error) =>
            progress.say(
              printable(`step ${stepId}: not published: ${error instanceof Error ? error.message : String(error)}`),
            ),
        })
        tell(context, report, flags)
        return report.failed > 0 || (flags.strict && report.badLines > 0) ? exitCodes.failed : exitCodes.ok
      }),
    )
}

/** Lines of the file; or the one that the options make, checked before anything is opened. */
async function linesOf(context: CliContext, flags: FeedbackFlags): Promise<Readable> {
  const { step, file } = flags
  if ((step === undefined) === (file === undefined))
    throw new ShuntError('SHUNT_CONFIG_INVALID', 'give one of --step ID and --file FILE')
  if (step !== undefined) {
    if (flags.verdict === undefined) throw new ShuntError('SHUNT_CONFIG_INVALID', 'give --verdict right or wrong')
    const feedback = feedbackOf({ stepId: step }, defaultsOf(context, flags), Date.now())
    return Readable.from([Buffer.from(JSON.stringify(feedback))])
  }
  return openLines(context, file!)
}

function defaultsOf(context: CliContext, { tenant, task, verdict, code, actor }: FeedbackFlags): FeedbackDefaults {
  return {
    ...(tenant !== undefined && { tenantId: tenant }),
    ...(task !== undefined && { taskId: task }),
    ...(verdict !== undefined && { verdict }),
    ...(code !== undefined && { code }),
    actor: actor ?? actorOf(context),
  }
}

function tell(context: CliContext, report: FeedbackReport, { json }: FeedbackFlags): void {
  const { published, badLines, failed } = report
  if (json) return writeJson(context, report)
  const parts = [
    `${plural(published, 'verdict')} published`,
    ...(badLines > 0 ? [plural(badLines, 'bad line')] : []),
    ...(failed > 0 ? [`${failed} not acknowledged`] : []),
  ]
  context.stdout.write(`${parts.join(', ')}\n`)
}
