import { isSealed } from '#lib/erasure/sealed-text'
import type { StepResult } from '#lib/events/types.generated'

/**
 * A result as a line of JSONL: the record's fields, the answer as JSON instead of JSON text, attempts without what is
 * always empty in a result, and the time from the step's record to its end. An answer that did not open is in
 * `sealedAnswer`: its key is not here, or was deleted.
 */
export function resultLine(result: StepResult): Record<string, unknown> {
  const { answer, attempts, origin, ...rest } = result
  const sealed = answer !== null && isSealed(answer)
  return {
    ...rest,
    attempts: attempts.map(({ answer: _answer, answerTruncated: _truncated, ...attempt }) => attempt),
    latencyMs: latencyMs(result),
    origin,
    answer: answer === null || sealed ? null : jsonOrText(answer),
    ...(sealed && { sealedAnswer: answer }),
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
