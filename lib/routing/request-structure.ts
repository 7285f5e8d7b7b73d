/**
 * Two things that say most of how hard a step with tools is, and that no single figure tells: whether the request asks for
 * several calls, and whether none of the tools is for it. As probabilities, of logistic regressions on some of the figures.
 */
export const structureNames = ['several_calls', 'no_tool'] as const
export type StructureName = (typeof structureNames)[number]

interface Regression {
  intercept: number
  /** By the name of the figure. */
  weights: Readonly<Record<string, number>>
}

/**
 * From the categories of the Berkeley function-calling leaderboard: those with parallel calls, that without a tool that
 * fits. `node scripts/fit-request-structure.ts` prints them anew: they tell 93 and 96 of 100 requests right that they were
 * not fitted on.
 */
export const structureRegressions: Readonly<Record<StructureName, Regression>> = {
  several_calls: {
    intercept: 7.1,
    weights: {
      tool_second_fit: 3.49,
      tool_nested: -1.05,
      tool_parameters_most: -0.486,
      tool_best_required: -0.427,
      tool_query_words: -0.0582,
      tool_evidence_numbers: 0.819,
      task_ands: 1.51,
      task_names_count: 0.414,
      task_distinct_words: -9.32,
      task_sequence_words: 0.98,
      task_plural_words: 0.356,
      task_sentences: -0.419,
      task_ends_question: -1.28,
    },
  },
  no_tool: {
    intercept: -1.06,
    weights: {
      tool_no_fit: 2.52,
      tool_coverage: -3.37,
      tool_name_coverage: -1.88,
      tool_missing: 2.81,
      tool_evidence_values: -1.03,
      tool_query_words: -0.0964,
      tool_query_actions: -0.509,
      tool_asked_to_described: -0.755,
      task_ands: -0.796,
    },
  },
}

/**
 * Writes the two from `at` on, from the figures in `out`, which are those of `names`. Zeros where no tool may be called.
 */
export function structureReader(names: readonly string[]): (out: Float32Array, at: number) => void {
  const tools = names.indexOf('tool_tools')
  const regressions = structureNames.map((name) => {
    const { intercept, weights } = structureRegressions[name]
    return {
      intercept,
      places: Int32Array.from(Object.keys(weights), (figure) => names.indexOf(figure)),
      weights: Float64Array.from(Object.values(weights)),
    }
  })
  return (out, at) => {
    out.fill(0, at, at + regressions.length)
    if (out[tools] === 0) return
    for (const [index, { intercept, places, weights }] of regressions.entries()) {
      let sum = intercept
      for (let i = 0; i < places.length; i++) sum += weights[i]! * out[places[i]!]!
      out[at + index] = 1 / (1 + Math.exp(-sum))
    }
  }
}
