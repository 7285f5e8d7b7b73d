import { feedbackFromJson } from '#lib/events/parse-step'
import type { StepFeedback } from '#lib/events/types.generated'
import { validateFeedback } from '#lib/events/validate-feedback'
import { ShuntError } from '#lib/errors'
import { readObjects, type ReadObject } from './read-objects.ts'

/** What a line that does not say it itself gets. */
export interface FeedbackDefaults {
  tenantId?: string
  taskId?: string
  verdict?: 'right' | 'wrong'
  code?: string
  actor?: string
}

/** Where a step's task is found: nothing keeps an index of it, and reading every result for it would take minutes. */
const taskRemedy =
  "taskId is missing: the step's result has it (`shunt results --json`); name it in the line or by --task"

/**
 * Verdicts of a JSONL stream, `{tenantId, stepId, taskId, verdict, code?, actor?, atMs?}`, one at a time. A line without
 * a time is of now.
 */
export function readFeedback(
  bytes: AsyncIterable<Uint8Array | string>,
  defaults: FeedbackDefaults,
  nowMs: () => number,
): AsyncGenerator<ReadObject<StepFeedback>> {
  return readObjects(bytes, (line) => feedbackOf(line, defaults, nowMs()))
}

/** Throws SHUNT_EVENT_INVALID. */
export function feedbackOf(line: Record<string, unknown>, defaults: FeedbackDefaults, nowMs: number): StepFeedback {
  const filled: Record<string, unknown> = { atMs: nowMs, ...defaults, ...line }
  if (filled['tenantId'] === undefined) throw invalid('tenantId is missing: name it in the line or by --tenant')
  if (filled['taskId'] === undefined) throw invalid(taskRemedy)
  const feedback = feedbackFromJson(filled)
  validateFeedback(feedback)
  return feedback
}

function invalid(problem: string): ShuntError {
  return new ShuntError('SHUNT_EVENT_INVALID', problem)
}
