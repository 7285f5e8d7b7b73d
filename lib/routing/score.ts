import type { StepKind } from '#lib/events/types.generated'
import type { ChatRequest } from '#lib/events/chat-request'
import type { QuestionForm, StepFeatures } from './features.ts'

/** Why a score is what it is: the parts add up to it, but for the ends of the scale. */
export interface ScorePart {
  name: string
  ppm: number
}

export interface Score {
  /** P(the open model's answer is right), ppm. */
  pSuccessPpm: number
  /** P(a frontier model would be right where the open one is not), ppm; null where the scorer cannot tell. */
  gainPpm: number | null
  parts: ScorePart[]
}

/** Anything that judges a step. Pure: the same step, the same score. */
export interface Scorer {
  /** sha256 of what it was trained to, hex; null for the weights in this file, which engineVersion covers. */
  hash: string | null
  score(features: StepFeatures, request: ChatRequest): Score
  /** False where it leaves the step to the hand-weighted score; left out by a scorer that judges every step. */
  knows?(features: StepFeatures): boolean
}

/** Narrow tasks with a small answer space first, open-ended thought last. */
const baseByKind: Readonly<Record<StepKind, number>> = {
  classification: 820_000,
  content_filter: 800_000,
  routing: 780_000,
  extraction: 740_000,
  summarization: 720_000,
  tool_call: 700_000,
  generation: 600_000,
  unknown: 600_000,
  reasoning: 380_000,
}

const byForm: Readonly<Record<QuestionForm, number>> = {
  none: 0,
  question: 0,
  choice: -60_000,
  why: -80_000,
  calculate: -120_000,
}

interface Weight {
  name: string
  /** Ppm a unit; the sign tells whether it speaks for or against the open model. */
  perUnit: number
  /** Units beyond these change nothing. */
  most: number
  units: (features: StepFeatures) => number
}

/** Kinds whose answer is read off the text: numbers in it are data, not arithmetic. */
const readsOff: ReadonlySet<StepKind> = new Set([
  'classification',
  'content_filter',
  'routing',
  'extraction',
  'summarization',
  'tool_call',
])

/**
 * The weights, by hand; each with its reason. What moves the threshold (ambiguous tools, trouble in the trace, earlier
 * attempts) is left out here, or it would count twice.
 */
const weights: readonly Weight[] = [
  // Small models lose the instruction over a long prompt: down by 0.15 from 150 words to 3,150.
  { name: 'prompt_length', perUnit: -50, most: 3_000, units: ({ words }) => Math.max(0, words - 150) },
  // A label or a number leaves little room for error; a page is drifted off from.
  {
    name: 'short_answer',
    perUnit: 40_000,
    most: 1,
    units: ({ maxOutputTokens: max }) => (max !== null && max <= 16 ? 1 : 0),
  },
  {
    name: 'long_answer',
    perUnit: -80,
    most: 1_000,
    units: ({ maxOutputTokens }) => Math.max(0, (maxOutputTokens ?? 0) - 256),
  },
  // Several numbers in a question are an arithmetic problem.
  {
    name: 'numbers',
    perUnit: -20_000,
    most: 8,
    units: ({ kind, task }) => (readsOff.has(kind) ? 0 : Math.max(0, task.numbers - 1)),
  },
  // Code is exact: one wrong character is a wrong answer. 2 % of code marks is a text with code, 10 % is code.
  { name: 'code', perUnit: -1_500, most: 80, units: ({ task }) => Math.max(0, Math.floor(task.codePpm / 1_000) - 20) },
  // More tools, more to tell apart, beyond what their likeness says.
  { name: 'tools', perUnit: -10_000, most: 12, units: ({ toolCount }) => Math.max(0, toolCount - 2) },
  // Later turns depend on more that came before.
  { name: 'turns', perUnit: -8_000, most: 15, units: ({ assistantTurns }) => assistantTurns },
  // JSON with a schema is enforced by the backend's grammar; without one, only asked for.
  {
    name: 'free_json',
    perUnit: -40_000,
    most: 1,
    units: ({ answerFormat }) => (answerFormat === 'json_object' ? 1 : 0),
  },
  { name: 'images', perUnit: -100_000, most: 1, units: ({ imageCount }) => imageCount },
  // Open models of a size that is cheap to run know English best.
  { name: 'other_script', perUnit: -150, most: 1_000, units: ({ nonAsciiPpm }) => Math.floor(nonAsciiPpm / 1_000) },
  // The caller knows that it is hard.
  { name: 'effort', perUnit: -150_000, most: 1, units: ({ askedToReason }) => (askedToReason ? 1 : 0) },
]

/** Never certain: the ends leave room for a threshold beyond them. */
const leastPpm = 20_000
const mostPpm = 980_000

/** The scorer that needs no training. */
export const handWeighted: Scorer = {
  hash: null,
  score(features) {
    const parts: ScorePart[] = [{ name: `kind_${features.kind}`, ppm: baseByKind[features.kind] }]
    const form = byForm[features.task.form]
    if (form !== 0 && !readsOff.has(features.kind)) parts.push({ name: `form_${features.task.form}`, ppm: form })
    for (const { name, perUnit, most, units } of weights) {
      const ppm = perUnit * Math.min(most, units(features))
      if (ppm !== 0) parts.push({ name, ppm })
    }
    let sum = 0
    for (const part of parts) sum += part.ppm
    return { pSuccessPpm: Math.min(mostPpm, Math.max(leastPpm, sum)), gainPpm: null, parts }
  },
}
