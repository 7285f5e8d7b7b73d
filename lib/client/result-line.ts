import type { StepResult } from '#lib/events/types.generated'

/**
 * A result as a line of JSONL: the record's fields, the answer as JSON instead of JSON text, attempts without what is
 * always empty in a result, and the time from the step's record to its end.
 */
export function resultLine(result: StepResult): Record<string, unknown> {
  const { answer, attempts, origin, ...rest } = result
  return {
    ...rest,
    attempts: attempts.map(({ answer: _answer, answerTruncated: _truncated, ...attempt }) => attempt),
    latencyMs: latencyMs(result),
    origin,
    answer: answer === null ? null : jsonOrText(answer),
  }
}

/** From the step's record to its end. Never negative, though the two times are of different clocks. */
export function latencyMs({ finishedAtMs, origin }: Pick<StepResult, 'finishedAtMs' | 'origin'>): number {
  return Math.max(0, finishedAtMs - origin.receivedAtMs)
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
