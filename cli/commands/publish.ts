import { once } from 'node:events'
import { createReadStream, createWriteStream, type WriteStream } from 'node:fs'
import { addAbortSignal, type Readable } from 'node:stream'
import { createClient } from '#lib/client/create-client'
import { createEarlierResults } from '#lib/client/earlier-results'
import { publishLines, type PublishReport } from '#lib/client/publish-lines'
import { readSteps, type StepDefaults } from '#lib/client/read-steps'
import { resultLine } from '#lib/client/result-line'
import { connect, type AddCommand, type CliContext } from '../context.ts'
import { durationOption, oneOf } from '../options.ts'
import { plural, printable, writeJson } from '../output.ts'
import { createProgress } from '../progress.ts'
import { exitCodes } from '../report-error.ts'

interface PublishFlags {
  wait?: true
  results?: string
  timeout: number
  tenant?: string
  task?: string
  batch?: string
  priority?: 'interactive' | 'batch'
  strict?: true
  json?: true
}

export const addPublishCommand: AddCommand = (program, run) => {
  program
    .command('publish')
    .description('publish the steps of a JSONL file: of Shunt, or of the OpenAI Batch API')
    .argument('<file>', 'file, or - for standard input')
    .option('--wait', "wait for every step's result; exit 0 only when each has exactly one")
    .option('--results <file>', 'write each result as a line of JSON; implies --wait')
    .addOption(durationOption('--timeout <duration>', 'give up when no result came for so long', '10m'))
    .option('--tenant <id>', 'tenant of lines that name none')
    .option('--task <id>', 'task of lines that name none (default: each is a task of its own)')
    .option('--batch <id>', 'batchId of lines that name none')
    .option('--priority <priority>', 'of lines that name none', oneOf('interactive', 'batch'))
    .option('--strict', 'exit 1 when there was a bad line')
    .option('--json', 'print the summary as JSON')
    .addHelpText('after', '\nA bad line is named with its number and passed over.')
    .action(
      run(async (context, file: string, flags: PublishFlags) => {
        const wait = flags.wait === true || flags.results !== undefined
        const bytes = addAbortSignal(context.signal, file === '-' ? context.stdin : await openedFile(file))
        const out = flags.results === undefined ? undefined : await createdFile(flags.results)
        if (!context.stderr.isTTY) context.stderr.write(`publishing ${file === '-' ? 'standard input' : file}\n`)
        const report = await publish(context, bytes, flags, wait, out)
        if (out) {
          out.end()
          await once(out, 'close')
        }
        tell(context, report, flags, wait)
        const complete = report.failed === 0 && report.missing.length === 0 && report.second === 0
        return complete && !(flags.strict && report.badLines > 0) ? exitCodes.ok : exitCodes.failed
      }),
    )
}

async function publish(
  context: CliContext,
  bytes: AsyncIterable<Uint8Array | string>,
  flags: PublishFlags,
  wait: boolean,
  out: WriteStream | undefined,
): Promise<PublishReport> {
  const { config, ...deps } = await connect(context)
  await using open = new AsyncDisposableStack()
  const client = open.adopt(await createClient(deps, { namespace: config.namespace, results: wait }), (c) => c.close())
  const earlier = wait
    ? open.adopt(await createEarlierResults(deps, { namespace: config.namespace }), (e) => e.close())
    : undefined
  const progress = createProgress(context, wait ? 'results' : 'published')
  open.defer(() => progress.end())
  let total = 0
  // Awaited here: what is open closes when this function returns.
  return await publishLines({ client, ...(earlier && { earlier }) }, readSteps(bytes, defaultsOf(flags)), {
    signal: context.signal,
    idleTimeoutMs: flags.timeout,
    onBadLine: (number, { code, message }) => progress.say(printable(`line ${number}: ${code}: ${message}`)),
    onPublished: () => {
      progress.total((total += 1))
      if (!wait) progress.step()
    },
    onFailed: ({ stepId }, error) =>
      progress.say(
        printable(`step ${stepId}: not published: ${error instanceof Error ? error.message : String(error)}`),
      ),
    onEnd: (result) => {
      out?.write(`${JSON.stringify(resultLine(result))}\n`)
      progress.step()
    },
    onSecond: ({ stepId }, first, second) =>
      progress.say(printable(`step ${stepId}: a second result at ${second}, the first is at ${first}`)),
  })
}

function defaultsOf({ tenant, task, batch, priority }: PublishFlags): StepDefaults {
  return {
    ...(tenant !== undefined && { tenantId: tenant }),
    ...(task !== undefined && { taskId: task }),
    ...(batch !== undefined && { batchId: batch }),
    ...(priority !== undefined && { priority }),
  }
}

const maxNamed = 20

function tell(context: CliContext, report: PublishReport, flags: PublishFlags, wait: boolean): void {
  const { published, badLines, failed, ended, second, missing } = report
  for (const { tenantId, stepId } of missing.slice(0, maxNamed))
    context.stderr.write(printable(`step ${stepId} (tenant ${tenantId}): no result`) + '\n')
  if (missing.length > maxNamed) context.stderr.write(`… and ${missing.length - maxNamed} more\n`)
  if (flags.json) {
    writeJson(context, {
      published,
      badLines,
      failed,
      ...(wait && { results: ended, second, missing: missing.length }),
    })
    return
  }
  const parts = [
    `${plural(published, 'step')} published`,
    ...(badLines > 0 ? [plural(badLines, 'bad line')] : []),
    ...(failed > 0 ? [`${failed} not acknowledged`] : []),
    ...(wait ? [plural(ended, 'result')] : []),
    ...(missing.length > 0 ? [`${missing.length} without a result`] : []),
    ...(second > 0 ? [plural(second, 'second result')] : []),
  ]
  context.stdout.write(`${parts.join(', ')}\n`)
}

/** Fails here and not in the middle of the run. */
async function openedFile(path: string): Promise<Readable> {
  const stream = createReadStream(path)
  await once(stream, 'open')
  return stream
}

async function createdFile(path: string): Promise<WriteStream> {
  const stream = createWriteStream(path)
  await once(stream, 'open')
  return stream
}
