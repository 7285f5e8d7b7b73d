import { writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { bootstrapDefaults } from '#lib/calibration/bootstrap'
import { groupPrior, nearestNeighbours, ownGroupPrior } from '#lib/calibration/baselines'
import { evaluate, type Evaluation, type NamedGains } from '#lib/calibration/evaluation'
import { formatApgr, formatShare, withInterval } from '#lib/calibration/figures-text'
import { readLabels, type LabelledStep } from '#lib/calibration/labels'
import { readScorerDirectory } from '#lib/calibration/scorer-directory'
import { gainGot, scoreLabel, withBothOutcomes } from '#lib/calibration/scored-step'
import type { AddCommand, CliContext } from '../context.ts'
import { inTurns, mapInTurns } from '../in-turns.ts'
import { readAll } from '../label-files.ts'
import { wholeNumber } from '../options.ts'
import { formatTable, writeJson, writeLines } from '../output.ts'

interface EvaluateFlags {
  scorer?: string
  train?: string
  seed: number
  html?: string
  json?: true
}

export const addEvaluateCommand: AddCommand = (program, run) => {
  program
    .command('evaluate')
    .description('how well a scorer ranks labelled steps: CPT50, CPT80 and APGR with intervals, beside its peers')
    .argument(
      '<file>',
      'labels that the scorer was not trained on: {id, kind, group?, request, outcome{oss, frontier}}',
    )
    .option('--scorer <dir>', 'directory that `shunt calibrate` made (default: the scorer that ships)')
    .option('--train <file>', 'labels that a prior by group and nearest neighbours learn from, to stand beside it')
    .option('--seed <n>', 'of the bootstrap', wholeNumber(0, 999_999_999), 1)
    .option('--html <file>', 'also write a page with plots and the figures of each group')
    .option('--json', 'print everything as JSON')
    .action(
      run(async (context, file: string, flags: EvaluateFlags) => {
        const scorer = readScorerDirectory(flags.scorer)
        const labels = await readAll(context, file, readLabels)
        const train = flags.train === undefined ? [] : await readAll(context, flags.train, readLabels)
        const steps = await mapInTurns(context, 'scoring', labels, (label) => scoreLabel(label, scorer))
        const peers = train.length > 0 ? await trainedPeers(context, labels, train) : [ownGroupPrior(steps, flags.seed)]
        const running = evaluate(steps, peers, { seed: flags.seed })
        const evaluation = await inTurns(context, 'bootstrap', bootstrapDefaults.draws, running)
        if (flags.html !== undefined) {
          // What draws plots is loaded by who draws.
          const { reportPage } = await import('#lib/calibration/report')
          const report = { scorerHash: scorer.hash, source: basename(file), evaluation, threshold: null }
          await writeFile(flags.html, reportPage(report))
        }
        if (flags.json) writeJson(context, { scorerHash: scorer.hash, ...evaluation })
        else writeLines(context, evaluationLines(evaluation))
      }),
    )
}

async function trainedPeers(
  context: CliContext,
  labels: readonly LabelledStep[],
  train: readonly LabelledStep[],
): Promise<NamedGains[]> {
  const both = withBothOutcomes(train.map(({ group, outcome }) => ({ group, ...outcome })))
  const prior = groupPrior(both.map((step) => ({ group: step.group, gain: gainGot(step) })))
  const neighbours = nearestNeighbours(train)
  return [
    { name: 'prior by group', gains: labels.map(({ group }) => prior(group)) },
    {
      name: 'kNN over n-grams',
      gains: await mapInTurns(context, 'kNN', labels, ({ request }) => neighbours(request)),
    },
  ]
}

function evaluationLines({ steps, ranked, reason, rankings, calibration }: Evaluation): string[] {
  const percent = 100 * bootstrapDefaults.confidence
  return [
    `${steps} labels, ${ranked} with both outcomes; ${percent} % intervals over ${bootstrapDefaults.draws} draws`,
    ...(reason === null ? [''] : [`no figures of rankings: ${reason}`]),
    ...(reason === null
      ? formatTable(
          [
            { title: 'ranking', value: ({ name }) => name },
            {
              title: 'APGR',
              value: ({ figures, intervals }) => withInterval(figures.apgr, intervals.apgr, formatApgr),
            },
            {
              title: 'CPT50',
              value: ({ figures, intervals }) => withInterval(figures.cpt50, intervals.cpt50, formatShare),
            },
            {
              title: 'CPT80',
              value: ({ figures, intervals }) => withInterval(figures.cpt80, intervals.cpt80, formatShare),
            },
            {
              title: 'scorer ahead by',
              value: ({ scorerAhead }) =>
                scorerAhead ? `${formatApgr(scorerAhead.low)} to ${formatApgr(scorerAhead.high)}` : '',
            },
          ],
          rankings,
        )
      : []),
    '',
    ...(calibration
      ? [
          `P(OSS right): calibration error ${calibration.ece.toFixed(3)}, Brier score ${calibration.brier.toFixed(3)}, skill over the base rate ${calibration.brierSkill?.toFixed(3) ?? 'none'}`,
        ]
      : []),
  ]
}
