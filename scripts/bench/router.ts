import { calibrationFigures } from '#lib/calibration/calibration-error'
import { crossFittedGroupPrior } from '#lib/calibration/baselines'
import type { LabelledStep } from '#lib/calibration/labels'
import { curveFigures, rankByScore, type CurveFigures } from '#lib/calibration/routing-curve'
import { gainGot, withBothOutcomes } from '#lib/calibration/scored-step'
import { seededRandom, shuffled } from '#lib/calibration/seeded-random'
import { trainScorer } from '#lib/calibration/train-scorer'
import { extractFeatures } from '#lib/routing/features'
import { createTrainedScorer } from '#lib/routing/trained-scorer'
import { readDataLines } from './data-file.ts'
import { printFigure, type Figure } from './figures.ts'

interface Part {
  file: string
  labels: number
  /** Prompts that neither training nor the unlabelled text has. */
  test: number
  apgrAtLeast: number
  /** Best published router of RouteLLM on these outcomes; its training had no labels from the same domain. */
  routeLlmApgr: number
}

/** The splits: the file in its own order, shuffled by the seed; the first `test` lines, then the labels. */
const parts: Record<string, Part> = {
  'mmlu-1500': { file: 'routellm-mmlu', labels: 1_500, test: 2_000, apgrAtLeast: 0.68, routeLlmApgr: 0.603 },
  'mmlu-7000': { file: 'routellm-mmlu', labels: 7_000, test: 2_000, apgrAtLeast: 0.71, routeLlmApgr: 0.603 },
  'mmlu-12000': { file: 'routellm-mmlu', labels: 12_000, test: 2_000, apgrAtLeast: 0.73, routeLlmApgr: 0.603 },
  'gsm8k-600': { file: 'routellm-gsm8k', labels: 600, test: 700, apgrAtLeast: 0.65, routeLlmApgr: 0.622 },
}

const defaultSeeds = 20

/** What one split gave: the scorer, its n-gram part alone, and a prior by the group that it never saw. */
interface Run {
  scorer: CurveFigures
  ngrams: CurveFigures
  prior: CurveFigures
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
    console.log(`\n${name}: ${part.labels} labels from the same domain`)
    const rows = readDataLines<LabelledStep>(`${part.file}.jsonl.gz`).map((row): LabelledStep => ({
      ...row,
      kind: 'unknown',
      tenantId: null,
    }))
    const runs: Run[] = []
    for (let seed = 1; seed <= (options.seeds ?? defaultSeeds); seed++) runs.push(await runSplit(rows, part, seed))
    for (const figure of figuresOf(name, part, runs)) {
      printFigure(figure)
      figures.push(figure)
    }
  }
  return figures
}

async function runSplit(rows: readonly LabelledStep[], part: Part, seed: number): Promise<Run> {
  const order = shuffled(rows, seededRandom(seed))
  const test = withBothOutcomes(order.slice(0, part.test).map((label) => ({ ...label, ...label.outcome })))
  const { model } = await trainScorer(order.slice(part.test, part.test + part.labels), { seed })
  const scorer = createTrainedScorer(model, '')
  const estimates = test.map(({ kind, request }) =>
    scorer.estimate(extractFeatures({ kind, request: JSON.stringify(request) }, request), request),
  )
  const outcomes = { oss: test.map(({ oss }) => oss), frontier: test.map(({ frontier }) => frontier) }
  const curve = (scores: readonly number[]) => curveFigures(rankByScore(scores), outcomes).figures!
  const groups = test.map(({ group, oss, frontier }) => ({ group, gain: gainGot({ oss, frontier }) }))
  const calibration = calibrationFigures(
    estimates.map(({ pSuccess }, i) => ({ probability: pSuccess, outcome: test[i]!.oss })),
  )!
  return {
    scorer: curve(estimates.map(({ pSuccess, pFrontier }) => (pFrontier ?? 1) - pSuccess)),
    ngrams: curve(estimates.map(({ linear }) => linear.frontier - linear.oss)),
    prior: curve(crossFittedGroupPrior(groups, seed)),
    ece: calibration.ece,
    brierSkill: calibration.brierSkill ?? 0,
  }
}

function figuresOf(name: string, part: Part, runs: readonly Run[]): Figure[] {
  const apgr = runs.map(({ scorer }) => scorer.apgr)
  const over = (peer: 'ngrams' | 'prior') => runs.map((run) => run.scorer.apgr - run[peer].apgr)
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`
  const published = `RouteLLM's best, without labels from the domain: ${part.routeLlmApgr}`
  const cpt50 = mean(runs.map(({ scorer }) => scorer.cpt50))
  const cpt80 = mean(runs.map(({ scorer }) => scorer.cpt80))
  return [
    {
      name: `${name}, APGR`,
      value: mean(apgr),
      unit: '',
      target: { atLeast: part.apgrAtLeast },
      note: `90 % interval of the mean ${interval(apgr)}, seeds 1 to ${runs.length}; CPT50 ${percent(cpt50)}, CPT80 ${percent(cpt80)}; ${published}`,
    },
    {
      name: `${name}, APGR above n-grams and figures under logistic regression`,
      value: lowerBound(over('ngrams')),
      unit: '',
      target: { atLeast: 0 },
      note: `lower 90 % bound; those alone: ${mean(runs.map(({ ngrams }) => ngrams.apgr)).toFixed(3)}`,
    },
    ...(runs.every(({ prior }) => Math.abs(prior.apgr - 0.5) < 0.02)
      ? []
      : [
          {
            name: `${name}, APGR above a prior by the unseen group`,
            value: lowerBound(over('prior')),
            unit: '',
            note: `lower 90 % bound; the prior, learned on the test's own outcomes, cross-fitted: ${mean(runs.map(({ prior }) => prior.apgr)).toFixed(3)}`,
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
