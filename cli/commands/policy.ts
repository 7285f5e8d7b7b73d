import { readFile } from 'node:fs/promises'
import { activatePolicy } from '#lib/policy/activate'
import { demandScorer } from '#lib/policy/demand-scorer'
import { checkPolicy, type PolicyCheck } from '#lib/policy/load'
import { formatPath, formatProblem, type PolicyProblem } from '#lib/policy/problems'
import { readScorerFile } from '#lib/policy/scorer-file'
import { actorOf, connect, type AddCommand } from '../context.ts'
import { plural, printable, writeJson, writeLines } from '../output.ts'
import { readPolicyFile } from '../policy-file.ts'
import { exitCodes } from '../report-error.ts'

const scorerHelp = 'directory of the scorer that `use: trained` stands for (default: the one that ships)'

export const addPolicyCommand: AddCommand = (program, run) => {
  const policy = program.command('policy').description('the policy that steps are decided by')
  policy
    .command('check')
    .description('say all that is wrong with a policy file, by line, with the remedy; exit 1 when something is')
    .argument('<file>')
    .option('--scorer <dir>', scorerHelp)
    .option('--json', 'print it as JSON')
    .action(
      run(async (context, file: string, flags: { scorer?: string; json?: true }) => {
        const check = checkPolicy(await readFile(file, 'utf8'), readScorerFile(flags.scorer).hash)
        if (flags.json) writeJson(context, checkReport(file, check))
        else writeLines(context, checkLines(file, check).map(printable))
        return check.loaded ? exitCodes.ok : exitCodes.failed
      }),
    )
  policy
    .command('activate')
    .description('check a policy file and put it in force; services follow without a restart')
    .argument('<file>')
    .option('--scorer <dir>', scorerHelp)
    .option('--reason <text>', 'why; kept with the order', 'activated by hand')
    .option('--json', 'print what was done as JSON')
    .action(
      run(async (context, file: string, flags: { scorer?: string; reason: string; json?: true }) => {
        const found = await readPolicyFile(context, file, flags.scorer)
        if (!found) return exitCodes.failed
        const { loaded, scorer } = found
        const { config, kafka, codec, log } = await connect(context)
        await demandScorer({ kafka, codec, log }, loaded, scorer, config.namespace)
        const actor = actorOf(context)
        const order = { namespace: config.namespace, actor, reason: flags.reason, scorer }
        await activatePolicy({ kafka, codec, nowMs: Date.now }, loaded, order)
        if (flags.json) writeJson(context, { hash: loaded.hash, actor, reason: flags.reason })
        else writeLines(context, [`policy ${loaded.hash} is ordered; services follow within moments`])
        return exitCodes.ok
      }),
    )
}

function checkReport(file: string, { problems, notes, loaded }: PolicyCheck): Record<string, unknown> {
  return {
    file,
    ok: loaded !== null,
    hash: loaded?.hash ?? null,
    problems: problems.map(reportProblem),
    notes: notes.map(reportProblem),
  }
}

function reportProblem({ line, path, message }: PolicyProblem): { line: number; path: string; message: string } {
  return { line, path: formatPath(path), message }
}

function checkLines(file: string, { problems, notes, loaded }: PolicyCheck): string[] {
  return [
    ...problems.map((problem) => formatProblem(file, problem)),
    ...notes.map((note) => `${formatProblem(file, note)} (note)`),
    loaded ? `${file}: ok, policy ${loaded.hash}` : `${file}: ${plural(problems.length, 'problem')}`,
  ]
}
