import { crossFittedGroupPrior } from '#lib/calibration/baselines'
import type { LabelledStep } from '#lib/calibration/labels'
import { curveFigures, rankByScore } from '#lib/calibration/routing-curve'
import { seededRandom, type Random } from '#lib/calibration/seeded-random'
import { textsOf } from '#lib/routing/message-text'

/** A step whose outcomes were drawn, and the chances that they were drawn by. */
export interface DrawnStep extends LabelledStep {
  outcome: { oss: boolean; frontier: boolean }
  chances: { oss: number; frontier: number }
}

type Requests = readonly Omit<LabelledStep, 'outcome'>[]

/** What a prior by category reaches on the sets that are drawn. */
const priorApgr = { atLeast: 0.55, atMost: 0.79 } as const
/** The frontier model is right so much more often: with less, APGR divides by next to nothing. */
const leastMeanGain = 0.05

/**
 * Simulated outcomes of two models on real requests with tools. Each seed is another pair of models: the OSS one is worse by
 * so much where there are several tools, several calls, no tool that fits, another language; the frontier one is worse there
 * too, by a part of that; categories, requests of more words, arguments and tools, and single requests differ besides. Pairs
 * are drawn until a prior by category is worth something and not all: it reaches APGR 0.55 to 0.79.
 */
export function drawOutcomes(requests: Requests, seed: number): DrawnStep[] {
  const random = seededRandom(seed)
  const traits = traitsOf(requests)
  for (;;) {
    const steps = drawPair(requests, traits, random)
    const both = {
      oss: steps.map(({ outcome }) => outcome.oss),
      frontier: steps.map(({ outcome }) => outcome.frontier),
    }
    const gains = steps.map(({ group, outcome }) => ({ group, gain: Number(outcome.frontier) - Number(outcome.oss) }))
    if (gains.reduce((sum, { gain }) => sum + gain, 0) < leastMeanGain * gains.length) continue
    const { figures } = curveFigures(rankByScore(crossFittedGroupPrior(gains, seed)), both)
    if (figures && figures.apgr >= priorApgr.atLeast && figures.apgr <= priorApgr.atMost) return steps
  }
}

function drawPair(requests: Requests, traits: readonly number[][], random: Random): DrawnStep[] {
  const between = (low: number, high: number) => low + (high - low) * random()
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  const penalties: [pattern: RegExp, logits: number][] = [
    [/multiple/, between(0, 0.8)],
    [/parallel/, between(0.3, 2.2)],
    [/parallel_multiple/, between(0, 0.5)],
    [/relevance/, between(-0.5, 2.5)],
    [/java/, between(0.5, 2)],
    [/rest/, between(0, 1.5)],
    [/executable/, 0.4 * normal()],
  ]
  const base = 1.6 + 0.5 * normal()
  const lead = between(0.2, 1.2)
  const frontierPart = between(0.2, 0.9)
  const categories = new Map(
    [...new Set(requests.map(({ group }) => group))].map((group) => {
      const own = penalties.reduce((sum, [pattern, logits]) => sum + (pattern.test(group ?? '') ? logits : 0), 0)
      const penalty = own + 0.3 * normal()
      return [group, { oss: base - penalty, frontier: base + lead - frontierPart * penalty + 0.4 * normal() }] as const
    }),
  )
  const traitScale = between(0, 0.5)
  const weights = traits.map(() => traitScale * normal())
  const frontierTraits = between(0.3, 1)
  const ownScale = between(0, 1)
  return requests.map((request, row) => {
    const { oss, frontier } = categories.get(request.group)!
    const hardness = weights.reduce((sum, weight, trait) => sum + weight * traits[trait]![row]!, 0)
    const own = ownScale * normal()
    const chances = {
      oss: logistic(oss - hardness - own),
      frontier: logistic(frontier - frontierTraits * hardness - own),
    }
    return { ...request, chances, outcome: { oss: random() < chances.oss, frontier: random() < chances.frontier } }
  })
}

/** Of each request: words asked, arguments that a tool requires, tools, and length of their schemas; as deviations. */
function traitsOf(requests: Requests): number[][] {
  return [
    requests.map(({ request }) => Math.log(1 + request.messages.flatMap(textsOf).join(' ').split(/\s+/).length)),
    requests.map(({ request: { tools = [] } }) => {
      const required = tools.map(({ function: { parameters } }) => parameters?.['required'])
      return required.reduce((sum: number, names) => sum + (Array.isArray(names) ? names.length : 0), 0) / tools.length
    }),
    requests.map(({ request: { tools = [] } }) => tools.length),
    requests.map(({ request: { tools = [] } }) => Math.log(JSON.stringify(tools).length)),
  ].map(standardised)
}

function standardised(values: readonly number[]): number[] {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length)
  return values.map((value) => (value - mean) / deviation)
}

function logistic(logits: number): number {
  return 1 / (1 + Math.exp(-logits))
}
