import { once } from 'node:events'
import { readSteps } from '#lib/client/read-steps'
import { ShuntError } from '#lib/errors'
import type { AgentStep } from '#lib/events/types.generated'
import { trainedHashOf } from '#lib/policy/scorer-choice'
import { readTrainedScorer } from '#lib/policy/scorer-file'
import { decideOffline, type OfflineDecision } from '#lib/routing/decide-offline'
import { handWeighted } from '#lib/routing/score'
import type { AddCommand, CliContext } from '../context.ts'
import { plural, printable } from '../output.ts'
import { openLines } from '../label-files.ts'
import { readPolicyFile, samplePolicy, type PolicyFile } from '../policy-file.ts'
import { exitCodes } from '../report-error.ts'

interface DecideFlags {
  policy?: string
  scorer?: string
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
    .option('--scorer <dir>', 'directory of the scorer that `use: trained` stands for (default: the one that ships)')
    .option('--tenant <id>', 'tenant of lines that name none')
    .option('--explain', 'add features, the parts of the score, terms of the threshold, removed models and all facts')
    .option('--json', 'print lines of JSON, as it does anyway')
    .addHelpText(
      'after',
      '\nEach step is decided as new: no earlier attempts, no budget spent, every model reachable. Nothing is sent anywhere:\nwhere the policy has an HTTP scorer, its fallback scores.',
    )
    .action(
      run(async (context, file: string, flags: DecideFlags) => {
        const found = await readPolicyFile(context, flags.policy ?? samplePolicy, flags.scorer)
        if (!found) return exitCodes.failed
        const decideOne = offlineDecider(found)
        const bytes = await openLines(context, file)
        let bad = 0
        const tellBad = (number: number, { code, message }: ShuntError) => {
          bad += 1
          context.stderr.write(`${printable(`line ${number}: ${code}: ${message}`)}\n`)
        }
        for await (const line of readSteps(bytes, flags.tenant === undefined ? {} : { tenantId: flags.tenant })) {
          if ('problem' in line) tellBad(line.number, line.problem)
          else await decideLine(context, line, decideOne, flags.explain === true, tellBad)
        }
        if (bad === 0) return exitCodes.ok
        context.stderr.write(`shunt: ${plural(bad, 'bad line')}\n`)
        return exitCodes.failed
      }),
    )
}

type OfflineDecider = (step: AgentStep, nowMs: number, explain: boolean) => OfflineDecision

/** Throws SHUNT_SCORER_MISSING where the policy names a trained scorer that is not the one at hand. */
function offlineDecider({ loaded, scorer }: PolicyFile): OfflineDecider {
  const hash = trainedHashOf(loaded.policy)
  if (hash !== null && scorer === null)
    throw new ShuntError(
      'SHUNT_SCORER_MISSING',
      `the policy names scorer ${hash}: give its directory with --scorer DIR`,
    )
  const trained = scorer === null ? handWeighted : readTrainedScorer(scorer.bytes, scorer.hash).scorer
  return (step, nowMs, explain) => decideOffline(step, loaded, trained, nowMs, explain)
}

async function decideLine(
  context: CliContext,
  line: { number: number; step: AgentStep },
  decideOne: OfflineDecider,
  explain: boolean,
  tellBad: (number: number, problem: ShuntError) => void,
): Promise<void> {
  try {
    const decision = { line: line.number, ...decideOne(line.step, Date.now(), explain) }
    // A reader that is slower than we are would otherwise have us hold all lines.
    if (!context.stdout.write(`${JSON.stringify(decision)}\n`))
      await once(context.stdout, 'drain', { signal: context.signal })
  } catch (error) {
    if (!(error instanceof ShuntError)) throw error
    tellBad(line.number, error)
  }
}
