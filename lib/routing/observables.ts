import type { StepFeatures } from './features.ts'
import type { Score } from './score.ts'

/**
 * What is watched of a scorer's input and output, and where its histograms are cut. Each is a number that says something
 * of the whole step; the hundred thousand features of a text would say no more, and none of them could be read.
 */
export const observables = {
  pSuccess: { help: 'P(the open model is right).', edges: steps(0.1, 0.9, 0.1) },
  gain: { help: 'What escalation gains; 0 where the scorer cannot tell.', edges: steps(-0.4, 0.8, 0.1) },
  promptTokens: { help: 'Upper estimate of the prompt, as the logarithm to base 2.', edges: steps(4, 15, 1) },
  toolCount: { help: 'Offered tools.', edges: [0.5, 1.5, 2.5, 4.5, 8.5, 16.5, 32.5] },
  toolAmbiguity: { help: 'Ambiguity of the offered tools.', edges: [0.000_001, ...steps(0.1, 0.9, 0.1)] },
  traceTrouble: { help: 'Trouble in the conversation so far.', edges: [0.000_001, ...steps(0.1, 0.9, 0.2)] },
  nonAscii: { help: 'Share of characters beyond ASCII.', edges: [0.000_001, 0.01, 0.05, 0.1, 0.3, 0.6] },
  numbers: { help: "Numbers in the user's last message.", edges: [0.5, 1.5, 2.5, 4.5, 8.5, 16.5, 32.5] },
} as const satisfies Record<string, { help: string; edges: readonly number[] }>
export type ObservableName = keyof typeof observables

export const observableNames = Object.keys(observables) as ObservableName[]

/** How an observable was distributed over the steps that a scorer was trained on. */
export interface ReferenceHistogram {
  name: ObservableName
  /** Ascending. A value equal to an edge is below it. */
  edges: number[]
  /** Of each bin, one more than there are edges; their sum is 1. */
  shares: number[]
}

export function observe(features: StepFeatures, score: Score): Record<ObservableName, number> {
  return {
    pSuccess: score.pSuccessPpm / 1_000_000,
    gain: (score.gainPpm ?? 0) / 1_000_000,
    promptTokens: Math.log2(Math.max(1, features.promptTokens)),
    toolCount: features.toolCount,
    toolAmbiguity: features.ambiguity.ppm / 1_000_000,
    traceTrouble: features.trace.troublePpm / 1_000_000,
    nonAscii: features.nonAsciiPpm / 1_000_000,
    numbers: features.task.numbers,
  }
}

/** Which bin of a histogram a value falls into. */
export function binOf(edges: readonly number[], value: number): number {
  let bin = 0
  while (bin < edges.length && value > edges[bin]!) bin++
  return bin
}

function steps(from: number, to: number, by: number): number[] {
  return Array.from({ length: Math.round((to - from) / by) + 1 }, (_, i) => Math.round((from + i * by) * 10) / 10)
}
