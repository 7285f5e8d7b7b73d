import { hash as hashOf } from 'node:crypto'
import { basename } from 'node:path'
import { ownGroupPrior } from '#lib/calibration/baselines'
import { bootstrapDefaults } from '#lib/calibration/bootstrap'
import { calibrationFigures } from '#lib/calibration/calibration-error'
import { confidenceThreshold, type ConfidenceThreshold } from '#lib/calibration/confidence-threshold'
import { evaluate } from '#lib/calibration/evaluation'
import { formatApgr, formatShare } from '#lib/calibration/figures-text'
import { readLabels, readRequests, type LabelledStep } from '#lib/calibration/labels'
import { modelCard } from '#lib/calibration/model-card'
import { policyFragment } from '#lib/calibration/policy-fragment'
import { markThreshold } from '#lib/calibration/marked-threshold'
import { curveFigures, rankByScore } from '#lib/calibration/routing-curve'
import { scoreLabel, withBothOutcomes, type ScoredStep } from '#lib/calibration/scored-step'
import { writeScorerDirectory } from '#lib/calibration/scorer-directory'
import { seededRandom, shuffled } from '#lib/calibration/seeded-random'
import { setThresholds, type Stratification, type ThresholdGoal, type ThresholdSet } from '#lib/calibration/thresholds'
import { trainScorer } from '#lib/calibration/train-scorer'
import { ShuntError } from '#lib/errors'
import { estimateCost } from '#lib/calibration/frontier-threshold'
import { extractFeatures } from '#lib/routing/features'
import { minLabelsPerKind } from '#lib/routing/scorer-model'
import { encodeScorer } from '#lib/routing/scorer-codec'
import { createTrainedScorer } from '#lib/routing/trained-scorer'
import type { AddCommand, CliContext } from '../context.ts'
import { inTurns } from '../in-turns.ts'
import { readAll } from '../label-files.ts'
import { readPolicyFile, samplePolicy } from '../policy-file.ts'
import { writeJson, writeLines } from '../output.ts'
import { createProgress } from '../progress.ts'

interface CalibrateFlags {
  out: string
  seed: string
  unlabelled?: string
  frontierShare?: string
  maxAccuracyLoss?: string
  budget?: string
  policy?: string
  answerTokens: string
  confidence: string
  by?: string
  json?: true
}

const defaultShare = 0.3
/** Labels that a promise of accuracy keeps from the scorer, as a share. */
const heldOutShare = 1 / 3

export const addCalibrateCommand: AddCommand = (program, run) => {
  program
    .command('calibrate')
    .description('train a scorer on steps of which it is known which model answered right, and set a threshold by it')
    .argument(
      '<file>',
      'lines {id, kind, group?, tenant?, request{messages, tools}, outcome{oss?, frontier?}, ossConfidencePpm?}, plain or gzipped',
    )
    .requiredOption(
      '--out <dir>',
      'directory for scorer.bin, its model card, and its figures as JSON and as a page with plots',
    )
    .option('--seed <n>', 'the same labels and seed give the same scorer', '1')
    .option('--unlabelled <file>', 'requests without outcomes, for the words that go together')
    .option('--frontier-share <share>', `escalate at most this share of steps (default: ${defaultShare})`)
    .option('--max-accuracy-loss <share>', 'lose at most this much of the accuracy of all-frontier, guaranteed')
    .option('--budget <usd>', 'spend at most this much per thousand steps')
    .option(
      '--policy <file>',
      'its first open and first frontier model have the prices of --budget (default: samples/policy.yaml)',
    )
    .option('--answer-tokens <n>', 'tokens of a mean answer, for --budget', '200')
    .option('--confidence <p>', 'of that guarantee', '0.95')
    .option('--by <kind|tenant>', 'a threshold of its own for each kind or tenant with 200 labels')
    .option('--json', 'print the figures as JSON')
    .addHelpText(
      'after',
      '\nA guarantee needs labels that the scorer has not seen: with --max-accuracy-loss it is trained on two thirds of them.',
    )
    .action(
      run(async (context, file: string, flags: CalibrateFlags) => {
        const seed = wholeNumber('--seed', flags.seed)
        const labels = await readAll(context, file, readLabels)
        const goal = await goalOf(context, flags, labels, seed)
        const unlabelled = flags.unlabelled === undefined ? [] : await readAll(context, flags.unlabelled, readRequests)
        const { train, heldOut } = splitFor(goal, labels, seed)

        const progress = createProgress(context, 'training')
        const { model, outOfFold } = await trainScorer(train, {
          seed,
          unlabelled,
          signal: context.signal,
          onProgress(done, of) {
            progress.total(of)
            progress.step()
          },
        }).finally(() => progress.end())
        const bytes = encodeScorer(model)
        const hash = hashOf('sha256', bytes, 'hex')
        const scorer = createTrainedScorer(model, hash)
        const steps = heldOut.length === 0 ? outOfFold : heldOut.map((label) => scoreLabel(label, scorer))
        // Of other kinds the scorer knows no gain, and the decision does not look at its threshold.
        const judged = steps.filter(({ kind }) => (model.header.kinds[kind] ?? 0) >= minLabelsPerKind)
        const thresholds = setThresholds(judged, goal, stratification(flags.by))
        const confidence = confidenceOf(labels, judged, thresholds)
        const fragment = policyFragment(hash, thresholds, {
          hasGain: model.header.stack.frontier !== null,
          escalateUnjudged: goal.type === 'accuracy_loss',
          confidence: typeof confidence === 'string' ? undefined : confidence,
        })
        const figures = figureLines(outOfFold)
        if (typeof confidence === 'string') figures.push(`no threshold on confidence: ${confidence}`)
        const source = `${basename(file)}, ${train.length} for the scorer${heldOut.length > 0 ? `, ${heldOut.length} kept for the threshold` : ''}`
        const peers = [ownGroupPrior(steps, seed)]
        const evaluation = await inTurns(
          context,
          'bootstrap',
          bootstrapDefaults.draws,
          evaluate(steps, peers, { seed }),
        )
        const calibration = { scorerHash: hash, source, figures, thresholds, evaluation }
        const scored = heldOut.length > 0 ? 'labels that the scorer has not seen' : 'each label scored out of fold'
        // What draws plots is loaded by who draws.
        const { reportPage } = await import('#lib/calibration/report')
        const report = reportPage({
          scorerHash: hash,
          source: `${source}; ${scored}`,
          evaluation,
          threshold: markThreshold(thresholds, judged),
        })
        const card = modelCard({ header: model.header, hash, source, figures })
        await writeScorerDirectory(flags.out, { bytes, card, calibration, report })
        if (flags.json) writeJson(context, { ...calibration, out: flags.out, fragment })
        else writeLines(context, [`${flags.out}: scorer ${hash}`, ...figures, '', ...fragment.trimEnd().split('\n')])
      }),
    )
}

/** Throws SHUNT_CONFIG_INVALID for a share that is none, and for two goals. */
async function goalOf(
  context: CliContext,
  flags: CalibrateFlags,
  labels: readonly LabelledStep[],
  seed: number,
): Promise<ThresholdGoal> {
  if ([flags.frontierShare, flags.maxAccuracyLoss, flags.budget].filter((goal) => goal !== undefined).length > 1)
    throw new ShuntError('SHUNT_CONFIG_INVALID', 'give one of --frontier-share, --max-accuracy-loss and --budget')
  if (flags.budget !== undefined) return budgetGoal(context, flags, labels, flags.budget)
  if (flags.maxAccuracyLoss === undefined)
    return { type: 'frontier_share', share: share('--frontier-share', flags.frontierShare ?? String(defaultShare)) }
  return {
    type: 'accuracy_loss',
    maxLoss: share('--max-accuracy-loss', flags.maxAccuracyLoss),
    confidence: share('--confidence', flags.confidence),
    seed,
  }
}

async function budgetGoal(
  context: CliContext,
  flags: CalibrateFlags,
  labels: readonly LabelledStep[],
  budget: string,
): Promise<ThresholdGoal> {
  const usdPerThousandSteps = Number(budget)
  if (!(usdPerThousandSteps >= 0)) throw new ShuntError('SHUNT_CONFIG_INVALID', '--budget takes dollars, such as 1.50')
  const file = await readPolicyFile(context, flags.policy ?? samplePolicy)
  const { oss, frontier } = file?.loaded.policy.index.byTier ?? { oss: [], frontier: [] }
  if (!oss[0] || !frontier[0])
    throw new ShuntError('SHUNT_CONFIG_INVALID', '--budget needs a policy with an open and a frontier model')
  const prices = { oss: oss[0].model.price, frontier: frontier[0].model.price }
  const answerTokens = wholeNumber('--answer-tokens', flags.answerTokens)
  const costs = new Map(
    labels.map(({ id, kind, request }) => {
      const { promptTokens } = extractFeatures({ kind, request: JSON.stringify(request) }, request)
      return [id, estimateCost(promptTokens, request, answerTokens, prices)]
    }),
  )
  return { type: 'budget', usdPerThousandSteps, costOf: ({ id }) => costs.get(id)! }
}

function splitFor(
  goal: ThresholdGoal,
  labels: readonly LabelledStep[],
  seed: number,
): { train: readonly LabelledStep[]; heldOut: readonly LabelledStep[] } {
  if (goal.type !== 'accuracy_loss') return { train: labels, heldOut: [] }
  const order = shuffled(labels, seededRandom(seed))
  const kept = Math.round(heldOutShare * order.length)
  return { train: order.slice(kept), heldOut: order.slice(0, kept) }
}

/** A threshold on the confidence of open answers, or why there is none; undefined where no label tells of any. */
function confidenceOf(
  labels: readonly LabelledStep[],
  judged: readonly ScoredStep[],
  thresholds: ThresholdSet,
): ConfidenceThreshold | string | undefined {
  const told = new Map(
    labels.flatMap(({ id, ossConfidencePpm }) => (ossConfidencePpm === undefined ? [] : [[id, ossConfidencePpm]])),
  )
  return told.size === 0 ? undefined : confidenceThreshold(judged, thresholds, told)
}

/** What the labels say of the scorer, each scored by a model that did not see it. */
function figureLines(outOfFold: readonly ScoredStep[]): string[] {
  const both = withBothOutcomes(outOfFold)
  const outcomes = { oss: both.map(({ oss }) => oss), frontier: both.map(({ frontier }) => frontier) }
  const { figures, reason } = curveFigures(rankByScore(both.map(({ gain }) => gain)), outcomes)
  const calibration = calibrationFigures(
    outOfFold.flatMap(({ pSuccess, oss }) => (oss === null ? [] : [{ probability: pSuccess, outcome: oss }])),
  )
  return [
    figures
      ? `out of fold: APGR ${formatApgr(figures.apgr)}, CPT50 ${formatShare(figures.cpt50)}, CPT80 ${formatShare(figures.cpt80)}`
      : `no figures of the ranking: ${reason}`,
    ...(calibration
      ? [
          `out of fold: calibration error ${calibration.ece.toFixed(3)}, Brier skill ${calibration.brierSkill?.toFixed(3) ?? 'none'}`,
        ]
      : []),
  ]
}

function stratification(by: string | undefined): Stratification | null {
  if (by === undefined) return null
  if (by === 'kind' || by === 'tenant') return by
  throw new ShuntError('SHUNT_CONFIG_INVALID', '--by takes kind or tenant')
}

function share(option: string, text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && value >= 0 && value <= 1) return value
  throw new ShuntError('SHUNT_CONFIG_INVALID', `${option} takes a share from 0 to 1, such as 0.3`)
}

function wholeNumber(option: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new ShuntError('SHUNT_CONFIG_INVALID', `${option} takes a whole number`)
}
