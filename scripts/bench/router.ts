import { calibrationFigures } from '#lib/calibration/calibration-error'
import { crossFittedGroupPrior, groupPrior } from '#lib/calibration/baselines'
import { readLabelRequest } from '#lib/calibration/label-request'
import type { LabelledStep } from '#lib/calibration/labels'
import { curveFigures, rankByScore, type CurveFigures } from '#lib/calibration/routing-curve'
import { gainGot, withBothOutcomes } from '#lib/calibration/scored-step'
import { seededRandom, shuffled } from '#lib/calibration/seeded-random'
import { trainScorer } from '#lib/calibration/train-scorer'
import { extractFeatures } from '#lib/routing/features'
import { createTrainedScorer } from '#lib/routing/trained-scorer'
import { readDataLines } from './data-file.ts'
import { drawOutcomes, type DrawnStep } from './drawn-outcomes.ts'
import { printFigure, type Figure } from './figures.ts'
import { wordRegressionGains } from './word-regression.ts'

interface Part {
  file: string
  labels: number
  /** Prompts that neither training nor the unlabelled text has. */
  test: number
  apgrAtLeast?: number
  /** Best published router of RouteLLM on these outcomes; its training had no labels from the same domain. */
  routeLlmApgr?: number
  /** The outcomes are simulated: drawn by category, by the seed. */
  isDrawn?: true
}

/** The splits: the file in its own order, shuffled by the seed; the first `test` lines, then the labels. */
const parts: Record<string, Part> = {
  'mmlu-1500': { file: 'routellm-mmlu', labels: 1_500, test: 2_000, apgrAtLeast: 0.68, routeLlmApgr: 0.603 },
  'mmlu-7000': { file: 'routellm-mmlu', labels: 7_000, test: 2_000, apgrAtLeast: 0.71, routeLlmApgr: 0.603 },
  'mmlu-12000': { file: 'routellm-mmlu', labels: 12_000, test: 2_000, apgrAtLeast: 0.73, routeLlmApgr: 0.603 },
  'gsm8k-600': { file: 'routellm-gsm8k', labels: 600, test: 700, apgrAtLeast: 0.65, routeLlmApgr: 0.622 },
  bfcl: { file: 'bfcl-v1', labels: 600, test: 1_100, isDrawn: true },
}

const defaultSeeds = 20

/** What one split gave: the scorer, its n-gram part alone, and a prior by the group that it never saw. */
interface Run {
  scorer: CurveFigures
  /** The n-grams and figures under logistic regression, a part of the scorer. */
  ngrams: CurveFigures
  /** Words and word pairs under logistic regression, no part of it. */
  words: CurveFigures
  /** null where all steps are of one group. */
  prior: CurveFigures | null
  /** The chances that the outcomes were drawn by; null of real outcomes. */
  chances: CurveFigures | null
  ece: number
  brierSkill: number
}

/** How well a scorer ranks that was trained on labels from the same domain, over seeds 1 to `seeds`. */
export async function benchRouter(options: {
  only?: string[] | undefined
  seeds?: number | undefined
}): Promise<Figure[]> {
  const unknown = options.only?.filter((name) => !Object.hasOwn(parts, name)) ?? []
  if (unknown.length > 0) throw new Error(`no part ${unknown.join(', ')}; there are ${Object.keys(parts).join(', ')}`)
  const figures: Figure[] = []
  for (const [name, part] of Object.entries(parts)) {
    if (options.only && !options.only.includes(name)) continue
    const drawn = part.isDrawn ? ', SIMULATED: outcomes drawn by category, another pair of models each seed' : ''
    console.log(`\n${name}: ${part.labels} labels from the same domain${drawn}`)
    const rows = readRows(part)
    const runs: Run[] = []
    for (let seed = 1; seed <= (options.seeds ?? defaultSeeds); seed++)
      runs.push(await runSplit(part.isDrawn ? drawOutcomes(rows, seed) : rows, part, seed))
    for (const figure of figuresOf(name, part, runs)) {
      printFigure(figure)
      figures.push(figure)
    }
  }
  return figures
}

function readRows({ file, isDrawn }: Part): LabelledStep[] {
  return readDataLines<LabelledStep>(`${file}.jsonl.gz`).map((row): LabelledStep => {
    if (!isDrawn) return { ...row, kind: 'unknown', tenantId: null }
    const request = readLabelRequest(row.request)
    if (typeof request === 'string') throw new TypeError(`${row.id}: ${request}`)
    return { ...row, request, tenantId: null }
  })
}

async function runSplit(rows: readonly (LabelledStep | DrawnStep)[], part: Part, seed: number): Promise<Run> {
  const order = shuffled(rows, seededRandom(seed))
  const test = withBothOutcomes(order.slice(0, part.test).map((label) => ({ ...label, ...label.outcome })))
  const labels = order.slice(part.test, part.test + part.labels)
  const { model } = await trainScorer(labels, { seed })
  const scorer = createTrainedScorer(model, '')
  const estimates = test.map(({ kind, request }) =>
    scorer.estimate(extractFeatures({ kind, request: JSON.stringify(request) }, request), request),
  )
  const outcomes = { oss: test.map(({ oss }) => oss), frontier: test.map(({ frontier }) => frontier) }
  const curve = (scores: readonly number[]) => curveFigures(rankByScore(scores), outcomes).figures!
  const groupGains = (steps: typeof test) => steps.map((step) => ({ group: step.group, gain: gainGot(step) }))
  const learned = withBothOutcomes(labels.map((label) => ({ ...label, ...label.outcome })))
  const learnedPrior = groupPrior(groupGains(learned))
  const priorGains = () =>
    part.isDrawn ? test.map(({ group }) => learnedPrior(group)) : crossFittedGroupPrior(groupGains(test), seed)
  const chances = test.flatMap((step) => ('chances' in step ? [step.chances.frontier - step.chances.oss] : []))
  const calibration = calibrationFigures(
    estimates.map(({ pSuccess }, i) => ({ probability: pSuccess, outcome: test[i]!.oss })),
  )!
  return {
    scorer: curve(estimates.map(({ pSuccess, pFrontier }) => (pFrontier ?? 1) - pSuccess)),
    ngrams: curve(estimates.map(({ linear }) => linear.frontier - linear.oss)),
    words: curve(wordRegressionGains(learned, test)),
    prior: new Set(test.map(({ group }) => group)).size > 1 ? curve(priorGains()) : null,
    chances: chances.length === test.length ? curve(chances) : null,
    ece: calibration.ece,
    brierSkill: calibration.brierSkill ?? 0,
  }
}

function figuresOf(name: string, part: Part, runs: readonly Run[]): Figure[] {
  const apgr = runs.map(({ scorer }) => scorer.apgr)
  const over = (peer: 'ngrams' | 'words' | 'prior') => runs.map((run) => run.scorer.apgr - run[peer]!.apgr)
  const meanOf = (figure: (run: Run) => number) => mean(runs.map(figure)).toFixed(3)
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`
  const published =
    part.routeLlmApgr === undefined
      ? `SIMULATED outcomes; the chances that they were drawn by: ${meanOf(({ chances }) => chances?.apgr ?? NaN)}`
      : `RouteLLM's best, without labels from the domain: ${part.routeLlmApgr}`
  const cpt50 = mean(runs.map(({ scorer }) => scorer.cpt50))
  const cpt80 = mean(runs.map(({ scorer }) => scorer.cpt80))
  return [
    {
      name: `${name}, APGR`,
      value: mean(apgr),
      unit: '',
      ...(part.apgrAtLeast !== undefined && { target: { atLeast: part.apgrAtLeast } }),
      note: `90 % interval of the mean ${interval(apgr)}, seeds 1 to ${runs.length}; CPT50 ${percent(cpt50)}, CPT80 ${percent(cpt80)}; ${published}`,
    },
    {
      name: `${name}, APGR above n-grams and figures under logistic regression`,
      value: lowerBound(over('ngrams')),
      unit: '',
      target: { atLeast: 0 },
      note: `lower 90 % bound; those alone: ${meanOf(({ ngrams }) => ngrams.apgr)}`,
    },
    {
      name: `${name}, APGR above words and word pairs under logistic regression`,
      value: lowerBound(over('words')),
      unit: '',
      target: { atLeast: 0 },
      note: `lower 90 % bound; those alone: ${meanOf(({ words }) => words.apgr)}`,
    },
    ...(runs.every(({ prior }) => prior === null)
      ? []
      : [
          {
            name: `${name}, APGR above a prior by the unseen group`,
            value: lowerBound(over('prior')),
            unit: '',
            note: `lower 90 % bound; the prior, learned on ${part.isDrawn ? 'the same labels' : "the test's own outcomes, cross-fitted"}: ${meanOf(({ prior }) => prior!.apgr)}`,
          },
        ]),
    {
      name: `${name}, expected calibration error`,
      value: mean(runs.map(({ ece }) => ece)),
      unit: '',
      target: { atMost: 0.05 },
    },
    {
      name: `${name}, Brier skill`,
      value: mean(runs.map(({ brierSkill }) => brierSkill)),
      unit: '',
      target: { atLeast: 0.03 },
    },
  ]
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** 1.645 standard errors: of the normal distribution, 90 % lie within on both sides. */
const normal90 = 1.645

function standardError(values: readonly number[]): number {
  const center = mean(values)
  const squares = values.reduce((sum, value) => sum + (value - center) ** 2, 0)
  return Math.sqrt(squares / Math.max(1, values.length - 1) / values.length)
}

function interval(values: readonly number[]): string {
  const half = normal90 * standardError(values)
  return `${(mean(values) - half).toFixed(3)} to ${(mean(values) + half).toFixed(3)}`
}

function lowerBound(values: readonly number[]): number {
  return mean(values) - normal90 * standardError(values)
}
