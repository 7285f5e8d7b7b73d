import { once } from 'node:events'
import { readItems, type LabelledItem } from '#lib/calibration/labels'
import { readScorerDirectory } from '#lib/calibration/scorer-directory'
import { gainOf } from '#lib/calibration/scored-step'
import { extractFeatures } from '#lib/routing/features'
import type { TrainedScorer } from '#lib/routing/trained-scorer'
import type { AddCommand } from '../context.ts'
import { openLines } from '../label-files.ts'
import { plural, printable } from '../output.ts'
import { exitCodes } from '../report-error.ts'

export const addScoreCommand: AddCommand = (program, run) => {
  program
    .command('score')
    .description('score the items of a JSONL file: a line {id, pSuccess, gain} each; the highest gain escalates first')
    .argument('<file>', 'lines {id, kind, request}, plain or gzipped, or - for standard input')
    .option('--scorer <dir>', 'directory that `shunt calibrate` made (default: the scorer that ships)')
    .option('--json', 'print lines of JSON, as it does anyway')
    .addHelpText('after', '\nNeither `group` nor `outcome` is read.')
    .action(
      run(async (context, file: string, flags: { scorer?: string }) => {
        const scorer = readScorerDirectory(flags.scorer)
        const foreign = new Set<string>()
        let bad = 0
        for await (const line of readItems(await openLines(context, file))) {
          if ('bad' in line) {
            bad += 1
            context.stderr.write(`${printable(`${file}:${line.number}: ${line.bad}`)}\n`)
            continue
          }
          const { pSuccess, gain, known } = scoreItem(line.value, scorer)
          if (!known && !foreign.has(line.value.kind)) {
            foreign.add(line.value.kind)
            context.stderr.write(`the scorer has too few labels of ${line.value.kind}: hand-set weights judge these\n`)
          }
          if (!context.stdout.write(`${JSON.stringify({ id: line.value.id, pSuccess, gain })}\n`))
            await once(context.stdout, 'drain', { signal: context.signal })
        }
        if (bad === 0) return exitCodes.ok
        context.stderr.write(`shunt: ${plural(bad, 'bad line')}\n`)
        return exitCodes.failed
      }),
    )
}

function scoreItem(
  { kind, request }: LabelledItem,
  scorer: TrainedScorer,
): { pSuccess: number; gain: number; known: boolean } {
  const features = extractFeatures({ kind, request: JSON.stringify(request) }, request)
  if (!scorer.knows(features)) {
    const score = scorer.score(features, request)
    return { pSuccess: score.pSuccessPpm / 1e6, gain: gainOf(score), known: false }
  }
  const { pSuccess, pFrontier } = scorer.estimate(features, request)
  return { pSuccess, gain: (pFrontier ?? 1) - pSuccess, known: true }
}
