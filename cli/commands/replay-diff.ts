import { writeFile } from 'node:fs/promises'
import { readPolicyLibrary, type PolicyLibrary } from '#lib/audit/policy-library'
import { ShuntError } from '#lib/errors'
import { scorerOf, trainedHashOf } from '#lib/policy/scorer-choice'
import { readTrainedScorer } from '#lib/policy/scorer-file'
import { diffPolicies, type DiffReport } from '#lib/replay/diff/diff-policies'
import { createTextScorer } from '#lib/replay/diff/score-texts'
import { handWeighted, type Scorer } from '#lib/routing/score'
import { openSource } from '../audit-source.ts'
import type { AddCommand, CliContext } from '../context.ts'
import { openKeptTexts } from '../kept-texts.ts'
import { formatDiff } from '../format-diff.ts'
import { oneOf, wholeNumber } from '../options.ts'
import { writeJson, writeLines } from '../output.ts'
import { readPolicyFile, type PolicyFile } from '../policy-file.ts'
import { createProgress } from '../progress.ts'
import { addRangeOptions, filterOf, rangeOf, type RangeFlags } from '../range-options.ts'
import { exitCodes } from '../report-error.ts'

interface DiffFlags extends RangeFlags {
  policy: string
  scorer?: string
  from?: string
  sample: number
  seed: number
  texts: boolean
  html?: string
  failOn?: 'residency'
  json?: true
}

export const addReplayDiffCommand: AddCommand = (replay, run) => {
  addRangeOptions(
    replay
      .command('diff')
      .description('what another policy would have decided: moves, cost, budgets, residency, accuracy at stake')
      .requiredOption('--policy <file>', 'the policy to try')
      .option('--scorer <dir>', 'directory of the scorer that `use: trained` stands for (default: the one that ships)')
      .option('--from <dir>', 'an export of `shunt audit export`, in place of Kafka'),
  )
    .option('--sample <n>', 'changed steps to show', wholeNumber(0, 1_000), 20)
    .option('--seed <n>', 'of the sample: the same seed shows the same steps', wholeNumber(0, 2 ** 31), 1)
    .option('--no-texts', 'keep the recorded scores where the policy asks another scorer: no text is read')
    .option('--html <file>', 'write a report with plots: a page that stands alone')
    .option(
      '--fail-on <what>',
      'residency: exit 1 where a step may go to a region where it could not go',
      oneOf('residency'),
    )
    .option('--json', 'print the figures as JSON')
    .action(run(diff))
}

async function diff(context: CliContext, flags: DiffFlags): Promise<number> {
  const found = await readPolicyFile(context, flags.policy, flags.scorer)
  if (!found) return exitCodes.failed
  await using source = await openSource(context, flags)
  const scorerHash = trainedHashOf(found.loaded.policy)
  const library = await readPolicyLibrary(source, (hash) => hash === scorerHash)
  const scorer = flags.texts ? scorerThatRunsHere(found, library) : null
  await using kept = openKeptTexts(context)
  const { policy } = found.loaded
  const report = await diffPolicies(
    {
      source,
      recordedPolicy: library.policy,
      scoreTexts: scorer && createTextScorer({ codec: source.codec, ...kept, scorer, policy }),
    },
    {
      policy: found.loaded,
      range: rangeOf(flags, Date.now()),
      wants: filterOf(flags) ?? (() => true),
      sample: flags.sample,
      seed: flags.seed,
      signal: context.signal,
      reading: (what) => createProgress(context, what, { rate: true }),
    },
  )
  if (flags.json) writeJson(context, report)
  else writeLines(context, formatDiff(report, source.name))
  // Last: where it cannot be written, the figures are there all the same.
  if (flags.html !== undefined) await writeReport(flags.html, report, { policyFile: flags.policy, source: source.name })
  return flags.failOn === 'residency' && report.residency.leaving > 0 ? exitCodes.failed : exitCodes.ok
}

/** Null: an HTTP scorer, to which nothing is sent. Throws SHUNT_SCORER_MISSING for a trained one that nobody has. */
function scorerThatRunsHere({ loaded, scorer }: PolicyFile, library: PolicyLibrary): Scorer | null {
  if (scorerOf(loaded.policy).use === 'http') return null
  const hash = trainedHashOf(loaded.policy)
  if (hash === null) return handWeighted
  const trained = scorer ? readTrainedScorer(scorer.bytes, scorer.hash) : library.scorer(hash)
  if (trained) return trained.scorer
  throw new ShuntError(
    'SHUNT_SCORER_MISSING',
    `the policy names scorer ${hash}, which nobody has published: give its directory with --scorer DIR`,
  )
}

/** The drawing of plots is loaded by who asks for it. */
async function writeReport(
  file: string,
  report: DiffReport,
  subject: { policyFile: string; source: string },
): Promise<void> {
  const { reportPage } = await import('#lib/replay/report/page')
  await writeFile(file, reportPage(report, subject))
}
