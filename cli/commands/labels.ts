import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { readFeedbackLabels, type FeedbackLabelsReport } from '#lib/calibration/read-feedback-labels'
import { connect, type AddCommand } from '../context.ts'
import { duration } from '../options.ts'
import { plural, writeJson, writeLines } from '../output.ts'
import { createProgress } from '../progress.ts'
import { exitCodes } from '../report-error.ts'

interface LabelsFlags {
  since?: number
  until?: number
  verification: boolean
  json?: true
}

/** Its lines hold prompts: nobody else on the machine has to read them. */
const ownerOnly = 0o600

export const addLabelsCommand: AddCommand = (program, run) => {
  program
    .command('labels')
    .description('labels for `shunt calibrate` out of feedback: who answered, whether it was right, and the request')
    .argument('<out>', 'file of JSONL; it holds prompts, and stays on your disk')
    .option('--since <duration>', 'feedback and answers not older than this (default: all that is kept)', duration)
    .option('--until <duration>', 'feedback older than this', duration)
    .option('--no-verification', 'leave out what failed verification: the verdicts of callers alone')
    .option('--json', 'print the summary as JSON')
    .action(
      run(async (context, out: string, flags: LabelsFlags) => {
        const nowMs = Date.now()
        const { config, ...deps } = await connect(context)
        const file = createWriteStream(out, { mode: ownerOnly })
        await once(file, 'open')
        const report = await readFeedbackLabels(deps, {
          namespace: config.namespace,
          sinceMs: flags.since === undefined ? undefined : nowMs - flags.since,
          untilMs: flags.until === undefined ? undefined : nowMs - flags.until,
          verification: flags.verification,
          signal: context.signal,
          async onLabel(label) {
            if (!file.write(`${JSON.stringify(label)}\n`)) await once(file, 'drain')
          },
          reading(what, offsets) {
            const progress = createProgress(context, `reading ${what}`)
            progress.total(offsets)
            return progress
          },
        })
        file.end()
        await once(file, 'close')
        if (flags.json) writeJson(context, { out, ...report })
        else writeLines(context, summary(out, report))
        return report.labels > 0 ? exitCodes.ok : exitCodes.failed
      }),
    )
}

function summary(out: string, report: FeedbackLabelsReport): string[] {
  const { feedback, steps, unreadable, labels, failedVerification, withoutAnswer, withoutRequest, sealed, standIn } =
    report
  const passedOver = [
    [plural(unreadable, 'verdict'), unreadable, 'that cannot be read'],
    [plural(withoutAnswer, 'step'), withoutAnswer, 'of which the audit has no answer'],
    [plural(standIn, 'step'), standIn, 'that the stand-in answered'],
    [plural(withoutRequest, 'step'), withoutRequest, 'whose request is no longer kept'],
    [plural(sealed, 'step'), sealed, 'whose request is sealed, and its data key not here (SHUNT_DATA_KEYS) or deleted'],
  ] as const
  return [
    `${plural(feedback, 'verdict')} on ${plural(steps, 'step')}: ${plural(labels, 'label')} in ${out}`,
    ...(failedVerification > 0
      ? [`  with ${plural(failedVerification, 'answer')} that failed verification, as wrong`]
      : []),
    ...passedOver.flatMap(([named, count, what]) => (count > 0 ? [`  left out: ${named} ${what}`] : [])),
  ]
}
