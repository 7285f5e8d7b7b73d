import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { addAbortSignal, type Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { readSteps } from '#lib/client/read-steps'
import { ShuntError } from '#lib/errors'
import type { AgentStep } from '#lib/events/types.generated'
import type { LoadedPolicy } from '#lib/policy/load'
import { decideOffline } from '#lib/routing/decide-offline'
import type { AddCommand, CliContext } from '../context.ts'
import { plural, printable } from '../output.ts'
import { readPolicyFile } from '../policy-file.ts'
import { exitCodes } from '../report-error.ts'

const samplePolicy = fileURLToPath(new URL('../../samples/policy.yaml', import.meta.url))

interface DecideFlags {
  policy?: string
  tenant?: string
  explain?: true
  json?: true
}

export const addDecideCommand: AddCommand = (program, run) => {
  program
    .command('decide')
    .description('decide the steps of a JSONL file by a policy and print a line of JSON for each; needs no Kafka')
    .argument('<file>', 'file, or - for standard input')
    .option('--policy <file>', 'policy to decide by (default: samples/policy.yaml)')
    .option('--tenant <id>', 'tenant of lines that name none')
    .option('--explain', 'add features, the parts of the score, terms of the threshold, removed models and all facts')
    .option('--json', 'print lines of JSON, as it does anyway')
    .addHelpText('after', '\nEach step is decided as new: no earlier attempts, no budget spent, every model reachable.')
    .action(
      run(async (context, file: string, flags: DecideFlags) => {
        const loaded = await readPolicyFile(context, flags.policy ?? samplePolicy)
        if (!loaded) return exitCodes.failed
        const bytes = addAbortSignal(context.signal, file === '-' ? context.stdin : await openedFile(file))
        let bad = 0
        const tellBad = (number: number, { code, message }: ShuntError) => {
          bad += 1
          context.stderr.write(`${printable(`line ${number}: ${code}: ${message}`)}\n`)
        }
        for await (const line of readSteps(bytes, flags.tenant === undefined ? {} : { tenantId: flags.tenant })) {
          if ('problem' in line) tellBad(line.number, line.problem)
          else await decideLine(context, line, loaded, flags.explain === true, tellBad)
        }
        if (bad === 0) return exitCodes.ok
        context.stderr.write(`shunt: ${plural(bad, 'bad line')}\n`)
        return exitCodes.failed
      }),
    )
}

async function decideLine(
  context: CliContext,
  line: { number: number; step: AgentStep },
  loaded: LoadedPolicy,
  explain: boolean,
  tellBad: (number: number, problem: ShuntError) => void,
): Promise<void> {
  try {
    const decision = { line: line.number, ...decideOffline(line.step, loaded, Date.now(), explain) }
    // A reader that is slower than we are would otherwise have us hold all lines.
    if (!context.stdout.write(`${JSON.stringify(decision)}\n`))
      await once(context.stdout, 'drain', { signal: context.signal })
  } catch (error) {
    if (!(error instanceof ShuntError)) throw error
    tellBad(line.number, error)
  }
}

async function openedFile(path: string): Promise<Readable> {
  const stream = createReadStream(path)
  await once(stream, 'open')
  return stream
}
